import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

/** How long requests in progress have to finish when the server closes, in ms. */
const drainMs = 5_000;
/** How long a new connection behind a proxy may take to bring its first request once the server drains, in ms. */
const firstRequestMs = 1_000;

/** How long a turn of the event loop is in which hardly anything can have happened, in ms, and how many to wait for one. */
const quietTurnMs = 0.3;
const maxTurns = 200;

/** Knows what an HTTP server has under way, and closes it without losing a request. */
export class Drain {
  readonly #server: Server;
  readonly #underWay = new Set<ServerResponse>();
  /** Connections that have not brought a request yet. */
  readonly #unused = new Set<Socket>();
  #isClosing = false;

  constructor(server: Server) {
    this.#server = server;
  }

  /** Call this for each connection that is admitted. */
  watchConnection(socket: Socket): void {
    this.#unused.add(socket);
    socket.once('close', () => this.#unused.delete(socket));
  }

  /** Call this for each request, before it is answered. */
  watchRequest(request: IncomingMessage, response: ServerResponse): void {
    this.#unused.delete(request.socket);
    this.#underWay.add(response);
    response.once('close', () => {
      this.#underWay.delete(response);
      // A response that started before the server drained could not announce that its connection closes.
      if (!this.#server.listening) setImmediate(() => this.#server.closeIdleConnections());
    });
    if (this.#isClosing) endConnectionWith(response);
  }

  /**
   * Still accepts requests for `delayMs`, but closes each connection after its answer. Then stops listening, and calls
   * `endStreams`. Resolves when the last request has been answered or cut off.
   */
  async close({ delayMs, endStreams }: { delayMs: number; endStreams: () => void }): Promise<void> {
    this.#isClosing = true;
    for (const response of this.#underWay) endConnectionWith(response);
    // A proxy may be sending a request on an idle connection, and would answer its client with an error if that were
    // closed now. During the delay, all connections are used once more or closed by the proxy.
    if (delayMs > 0) {
      await sleep(delayMs);
      await waitForQuietTurn();
    }
    const closed = once(this.#server, 'close');
    this.#server.close();
    // Browsers open connections in advance; Node counts a connection that has sent nothing yet as busy. A proxy sends
    // its request at once, so one on a new connection is about to arrive.
    const endUnused = () => this.#unused.forEach((socket) => void socket.destroy());
    const unusedEnd = setTimeout(endUnused, delayMs > 0 ? firstRequestMs : 0);
    for (const response of this.#underWay) endConnectionWith(response);
    endStreams();
    const cutOff = setTimeout(() => this.#server.closeAllConnections(), drainMs);
    await closed;
    clearTimeout(cutOff);
    clearTimeout(unusedEnd);
  }
}

/**
 * Waits until Node has just accepted every connection that was waiting: the kernel resets those that still wait when the
 * server stops listening, whatever they have sent. It accepts them once in each turn of the event loop, before this
 * returns. Others may come while it does the rest of that turn's work, so the turn must have been a short one.
 */
async function waitForQuietTurn(): Promise<void> {
  for (let turn = 0; turn < maxTurns; turn += 1) {
    const startedAt = performance.now();
    await nextTurn();
    if (performance.now() - startedAt < quietTurnMs) return;
  }
}

/** Once the server drains, its connections are of no further use to clients. */
function endConnectionWith(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
}
