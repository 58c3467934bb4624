import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';

/** What clients may leave unread; tests set lower limits. */
export type UnreadLimits = {
  /** How much time a client gets to read a response, in ms, in addition to the time for its length. */
  ms: number;
  /** The lowest rate at which a client may read a response; the connection of a slower one is closed. */
  charactersPerMs: number;
  /**
   * How many characters of responses may wait for the clients of one network address, beyond the system's own buffers.
   */
  perAddress: number;
};

/** The limits in production. 10 characters a millisecond are 10 kB/s: slower than a phone at the edge of coverage. */
export const unreadLimits: UnreadLimits = { ms: 60_000, charactersPerMs: 10, perAddress: 64 * 1024 * 1024 };

/**
 * Tracks the responses that the server has finished but that clients have not read. A response may be 10 MB long, so
 * clients that send requests but do not read the responses could otherwise fill the memory. When too much is waiting
 * for one network address, the connection that has waited longest is closed.
 */
export class UnreadAnswers {
  readonly #limits: UnreadLimits;
  readonly #addressOf: (request: IncomingMessage) => string;
  readonly #log: Logger;
  /** For each address, the connections with unread answers, oldest first, and the length of each answer. */
  readonly #waiting = new Map<string, Map<Socket, number>>();

  /** `addressOf` returns the network address of a request: that of the client, not of a proxy in front. */
  constructor(
    limits: UnreadLimits,
    { addressOf, log }: { addressOf: (request: IncomingMessage) => string; log: Logger },
  ) {
    this.#limits = limits;
    this.#addressOf = addressOf;
    this.#log = log;
  }

  /** Once this answer is finished, limits how long it may stay unread, and how much may wait for its address. */
  limit(request: IncomingMessage, response: ServerResponse): void {
    response.on('prefinish', () => this.#wait(request, response));
  }

  #wait(request: IncomingMessage, response: ServerResponse): void {
    const { socket, writableLength } = response;
    if (socket === null || writableLength === 0) return;
    const address = this.#addressOf(request);
    const waiting = this.#waiting.get(address) ?? new Map<Socket, number>();
    this.#waiting.set(address, waiting.set(socket, writableLength));
    // Not the socket's own timeout: a client that keeps sending would postpone it.
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
