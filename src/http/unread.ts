import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';

/** How much response data clients may leave unread. Tests set lower limits. */
export type UnreadLimits = {
  /**
   * The fixed part of the time that a client has to read a response, in ms; the rest depends on the length of the
   * response.
   */
  ms: number;
  /** The lowest rate at which a client may read a response. The server closes the connection of a slower client. */
  charactersPerMs: number;
  /**
   * How many characters of responses may wait for the clients of one network address, not counting the operating
   * system's own buffers.
   */
  perAddress: number;
};

/**
 * The limits in production. 10 characters per millisecond is 10 kB/s, which is slower than a phone at the edge of
 * coverage.
 */
export const unreadLimits: UnreadLimits = { ms: 60_000, charactersPerMs: 10, perAddress: 64 * 1024 * 1024 };

/**
 * Tracks responses that the server has finished but that clients have not yet read. A response may be 10 MB long, so
 * clients that send requests without reading the responses could otherwise fill the memory. When too much data is
 * waiting for one network address, the server closes the connection that has waited longest.
 */
export class UnreadAnswers {
  readonly #limits: UnreadLimits;
  readonly #addressOf: (request: IncomingMessage) => string;
  readonly #log: Logger;
  /** For each address, the connections with unread responses, oldest first, and the length of each response. */
  readonly #waiting = new Map<string, Map<Socket, number>>();

  /**
   * `addressOf` returns the network address of the client that sent a request, not the address of a proxy in front of
   * the server.
   */
  constructor(
    limits: UnreadLimits,
    { addressOf, log }: { addressOf: (request: IncomingMessage) => string; log: Logger },
  ) {
    this.#limits = limits;
    this.#addressOf = addressOf;
    this.#log = log;
  }

  /** Limits how long this response may stay unread once it is finished, and how much data may wait for its address. */
  limit(request: IncomingMessage, response: ServerResponse): void {
    response.on('prefinish', () => this.#wait(request, response));
  }

  #wait(request: IncomingMessage, response: ServerResponse): void {
    const { socket, writableLength } = response;
    if (socket === null || writableLength === 0) return;
    const address = this.#addressOf(request);
    const waiting = this.#waiting.get(address) ?? new Map<Socket, number>();
    this.#waiting.set(address, waiting.set(socket, writableLength));
    // The socket's own timeout is of no use here, because a client that keeps sending would postpone it.
    const { ms, charactersPerMs } = this.#limits;
    const timer = setTimeout(() => socket.destroy(), ms + writableLength / charactersPerMs).unref();
    response.once('close', () => {
      clearTimeout(timer);
      waiting.delete(socket);
      if (waiting.size === 0 && this.#waiting.get(address) === waiting) this.#waiting.delete(address);
    });
    this.#makeRoom(address, waiting);
  }

  #makeRoom(address: string, waiting: Map<Socket, number>): void {
    let total = 0;
    for (const length of waiting.values()) total += length;
    for (const [oldest, length] of waiting) {
      if (total <= this.#limits.perAddress) return;
      this.#log.warn({ address, characters: length }, 'a connection was closed: too many answers wait to be read');
      waiting.delete(oldest);
      oldest.destroy();
      total -= length;
    }
  }
}
