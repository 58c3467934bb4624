import { Conflict } from '../errors.ts';
import type { Lease, Leases } from '../postgres/lease.ts';

/** The lease lasts long enough for an upload to survive a restart of the database. */
const times = { expiry: 15_000, renewal: 1_000 };
/** How long a request waits for the previous request to stop. */
const patienceMs = 20_000;

/**
 * The exclusive right to write to a partial upload. `askToRelease` is called if another request wants the lease, if the
 * lease is lost, and before the node shuts down.
 */
export type PartialUploadLease = {
  lock: (signal: AbortSignal, askToRelease: () => Promise<void> | void) => Promise<void>;
  unlock: () => Promise<void>;
};

/**
 * Lets one request at a time write to a partial upload, across all nodes. The next request asks the holder of the lease
 * to stop, because the holder's connection may be half-open, with its client long gone.
 */
export class PartialUploadLeases {
  readonly #leases: Leases;

  constructor(leases: Leases) {
    this.#leases = leases;
  }

  /** Creates a lease that one request can take. The tus server calls the methods of the lease. */
  newLock(id: string): PartialUploadLease {
    let lease: Lease | undefined;
    return {
      lock: async (signal, askToRelease) => {
        const options = { name: `upload:${id}`, times, onWanted: askToRelease };
        const taken = await this.#leases.wait(options, { patienceMs, signal });
        if (taken === null) throw new Conflict('Another request is writing to this upload: try again.', []);
        lease = taken;
        lease.signal.addEventListener('abort', () => void askToRelease(), { once: true });
      },
      unlock: async () => lease?.release(),
    };
  }

  /**
   * Asks all lease holders on this node to stop before the node shuts down. The bytes that have been received by then
   * are kept.
   */
  letGo(): void {
    this.#leases.askToRelease();
  }
}
