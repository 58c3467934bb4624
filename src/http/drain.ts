import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

/** How long requests in progress have to finish if the server closes without a delay, in ms. */
const drainMs = 5_000;
/**
 * How long existing connections remain usable after a server behind a proxy has stopped listening, in ms. The last
 * streams end after two seconds, and the proxy keeps their connections open for three more seconds (`keepalive_timeout
 * 3s` in deploy/nginx/upstream.conf), so no connection closes while a request is on its way.
 */
const lastUseMs = 5_500;
/** How long a new connection from a proxy may take to send its first request while the server drains, in ms. */
const firstRequestMs = 1_000;

/** A turn of the event loop that is shorter than this counts as quiet, in ms. */
const quietTurnMs = 0.3;
/** The maximum number of turns for which to wait for a quiet turn. */
const maxTurns = 200;

/** Tracks the connections and requests of an HTTP server, and closes it without losing a request. */
export class Drain {
  readonly #server: Server;
  readonly #underWay = new Set<ServerResponse>();
  /** Connections that have not sent a request yet. */
  readonly #unused = new Set<Duplex>();
  #endsIdle = false;

  constructor(server: Server) {
    this.#server = server;
  }

  /** Call this for each connection that is admitted. */
  watchConnection(socket: Socket): void {
    this.#unused.add(socket);
    socket.on('close', () => this.#unused.delete(socket));
  }

  /** Call this for each request, before anything is sent in response. */
  watchRequest(request: IncomingMessage, response: ServerResponse): void {
    this.#unused.delete(request.socket);
    this.#underWay.add(response);
    response.on('close', () => {
      this.#underWay.delete(response);
      // A response that started before the server stopped listening could not announce that its connection would close.
      if (this.#endsIdle) setImmediate(() => this.#server.closeIdleConnections());
    });
    if (!this.#server.listening) endConnectionWith(response);
  }

  /** Whether a request on the connection has not been answered completely. */
  isBusy(socket: Duplex): boolean {
    for (const response of this.#underWay) if (response.req.socket === socket) return true;
    return false;
  }

  /** Whether the connection has not sent a request yet. */
  isUnused(socket: Duplex): boolean {
    return this.#unused.has(socket);
  }

  /** Whether a response has begun on the connection. */
  isAnswering(socket: Duplex): boolean {
    for (const response of this.#underWay) if (response.socket === socket && response.headersSent) return true;
    return false;
  }

  /**
   * The server continues as before for `delayMs`. It then stops listening, calls `endStreams`, and closes each
   * connection after the next response on it. Resolves when the last request has been answered or cut off.
   *
   * Connections stay open during the delay for two reasons: a proxy would replace each closed connection with a new
   * one, and when the server stops listening, the kernel resets connections that the server has not accepted yet.
   */
  async close({ delayMs, endStreams }: { delayMs: number; endStreams: () => void }): Promise<void> {
    if (delayMs > 0) {
      await sleep(delayMs);
      await waitForQuietTurn();
    }
    const closed = once(this.#server, 'close');
    // This bypasses the HTTP server's own method, which would also close idle connections, because a proxy may be
    // sending a request on one of them.
    NetServer.prototype.close.call(this.#server);
    for (const response of this.#underWay) endConnectionWith(response);
    endStreams();
    // Browsers open connections in advance, and Node considers a connection busy if nothing has been sent on it yet. A
    // proxy sends a request as soon as it has connected, so a request is about to arrive on a new connection.
    const timers = [
      setTimeout(() => this.#unused.forEach((socket) => void socket.destroy()), delayMs > 0 ? firstRequestMs : 0),
      setTimeout(() => this.#endIdle(), delayMs > 0 ? lastUseMs : 0),
      setTimeout(() => this.#server.closeAllConnections(), delayMs > 0 ? lastUseMs + 500 : drainMs),
    ];
    await closed;
    timers.forEach(clearTimeout);
    // Stops the checks for late headers.
    this.#server.close();
  }

  #endIdle(): void {
    this.#endsIdle = true;
    this.#server.closeIdleConnections();
  }
}

/**
 * Waits for a moment at which Node has just accepted every waiting connection. When the server stops listening, the
 * kernel resets the connections that are still waiting, even if they have already sent data. Node accepts connections
 * once per turn of the event loop, before this function returns. More connections may arrive during the rest of that
 * turn, so the turn must have been short.
 */
async function waitForQuietTurn(): Promise<void> {
  for (let turn = 0; turn < maxTurns; turn += 1) {
    const startedAt = performance.now();
    await nextTurn();
    if (performance.now() - startedAt < quietTurnMs) return;
  }
}

/** Tells the client that its connection will close after this response. */
function endConnectionWith(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
}
