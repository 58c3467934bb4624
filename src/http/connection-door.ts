import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { networkOf } from './address.ts';

/** The maximum number of open connections; 0 disables a limit. */
export type ConnectionLimits = {
  total: number;
  /**
   * The limit for one network address. Use 0 if the server trusts proxies, because all connections then come from the
   * addresses of the proxies.
   */
  perAddress: number;
};

/** The shortest time between log lines about refused connections. */
const logEveryMs = 60_000;

/** Counts the open connections, and closes connections over the limit before anything is read from them. */
export class ConnectionDoor {
  readonly #limits: ConnectionLimits;
  readonly #log: Logger;
  readonly #perAddress = new Map<string, number>();
  #open = 0;
  #refused = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(limits: ConnectionLimits, log: Logger) {
    this.#limits = limits;
    this.#log = log;
  }

  /** How many connections are open. */
  get openCount(): number {
    return this.#open;
  }

  /** Returns whether the connection may stay open, and closes it if it may not. */
  admit(socket: Socket): boolean {
    const { total, perAddress } = this.#limits;
    const address = networkOf(socket.remoteAddress ?? 'unknown');
    const known = this.#perAddress.get(address) ?? 0;
    const isFull = total > 0 && this.#open >= total;
    const isAddressFull = perAddress > 0 && known >= perAddress;
    if (isFull || isAddressFull) {
      socket.destroy();
      this.#tell(isFull ? 'MAX_CONNECTIONS' : 'MAX_CONNECTIONS_PER_ADDRESS');
      return false;
    }
    this.#open += 1;
    this.#perAddress.set(address, known + 1);
    // Here, and wherever `close` is emitted only once, the code uses `on`, because `once` takes 220 bytes more for each
    // open stream.
    socket.on('close', () => this.#leave(address));
    return true;
  }

  #leave(address: string): void {
    this.#open -= 1;
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#perAddress.delete(address);
    else this.#perAddress.set(address, left);
  }

  #tell(setting: string): void {
    this.#refused += 1;
    const now = performance.now();
    if (now - this.#loggedAt < logEveryMs) return;
    this.#log.warn(
      { setting, refused: this.#refused, open: this.#open },
      'connections were refused: too many are open',
    );
    this.#loggedAt = now;
    this.#refused = 0;
  }
}
