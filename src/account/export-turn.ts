import { Conflict, RateLimited } from '../errors.ts';
import type { Leases } from '../postgres/lease.ts';

/**
 * How many exports a node sends at the same time. Each export uses a few megabytes of memory until its client has read
 * it.
 */
const maxExports = 8;
/** How long a refused client should wait before it tries again. */
const retryAfterSeconds = 30;
/** The expiry of the lease is long enough for an export to outlast a restart of the database. */
const times = { expiry: 20_000, renewal: 5_000 };

/** Limits each user to one export at a time across all nodes, and each node to a fixed number of exports. */
export class ExportTurns {
  readonly #leases: Leases;
  #running = 0;

  constructor(leases: Leases) {
    this.#leases = leases;
  }

  /**
   * Runs `work`. Throws Conflict if another export of this user is under way, and RateLimited if the node is sending
   * too many exports.
   */
  async during<Result>(userId: bigint, work: () => Promise<Result>): Promise<Result> {
    if (this.#running >= maxExports) {
      throw new RateLimited('The server is sending too many exports: try again later.', retryAfterSeconds);
    }
    this.#running += 1;
    try {
      const lease = await this.#leases.take({ name: `export:${userId}`, times });
      if (lease === null) throw new Conflict('An export of your data is under way.', []);
      try {
        return await work();
      } finally {
        await lease.release();
      }
    } finally {
      this.#running -= 1;
    }
  }
}
