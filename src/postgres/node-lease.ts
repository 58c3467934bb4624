import { randomUUID } from 'node:crypto';
import { CannotStart } from '../errors.ts';
import type { Lease, LeaseTimes, Leases } from './lease.ts';

const retryMs = 500;

/** The release that a node runs. */
export type Release = {
  /** The newest migration that the node knows. */
  name: string;
  /** Throws CannotStart if the database lacks something that the node needs (`confirmRelease`). */
  confirm: () => Promise<unknown>;
};

/**
 * The lease that shows that this process is running. Everything that a node holds on behalf of its clients, such as an
 * open stream or a user's presence, refers to the lease by name and is valid for as long as the lease is.
 *
 * A node may fail to renew its lease in time, because the database was unavailable or the process was paused. It then
 * takes the lease again as soon as it can. Everything that it holds becomes valid again, because no other process takes
 * a lease of this name. Only after ten minutes do the other nodes delete the lease, along with everything that the node
 * held.
 */
export class NodeLease {
  readonly #holder = randomUUID();
  readonly name = `node:${this.#holder}`;
  readonly #leases: Leases;
  readonly #times: LeaseTimes;
  readonly #release: Release;
  #lease: Lease | null = null;
  #heldSince = Number.POSITIVE_INFINITY;
  #retry: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(leases: Leases, times: LeaseTimes, release: Release) {
    this.#leases = leases;
    this.#release = release;
    this.#times = times;
  }

  /**
   * Takes the lease. Throws if the database is unavailable, and throws CannotStart if the database lacks something that
   * this node needs.
   */
  async open(): Promise<void> {
    const { name } = this;
    const lease = await this.#leases.take({ name, times: this.#times, holder: this.#holder });
    if (lease === null) throw new Error(`another process has the lease ${name}`);
    if (this.#isClosed) return lease.release();
    try {
      await lease.nameRelease(this.#release.name);
      await this.#release.confirm();
    } catch (error) {
      if (error instanceof CannotStart) await lease.release();
      throw error;
    }
    if (this.#isClosed) return lease.release();
    this.#lease = lease;
    this.#heldSince = performance.now();
    // The lease may have been lost before the release was confirmed.
    if (lease.signal.aborted) this.#takeAnew();
    else lease.signal.addEventListener('abort', () => this.#takeAnew(), { once: true });
  }

  /**
   * Whether this node has held the lease for longer than `expiry` without interruption. If not, the database may have
   * been unavailable, and other nodes may be about to take their leases again.
   */
  get isSettled(): boolean {
    return performance.now() - this.#heldSince > this.#times.expiry;
  }

  /** Gives up the lease, and with it everything that refers to the lease. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    await this.#lease?.release();
  }

  #takeAnew(): void {
    this.#heldSince = Number.POSITIVE_INFINITY;
    if (this.#isClosed) return;
    this.open().catch((error: unknown) => {
      // While this node had no lease, a newer release removed something that this node needs, so the process ends.
      if (error instanceof CannotStart) throw error;
      this.#retry = setTimeout(() => this.#takeAnew(), retryMs).unref();
    });
  }
}
