import { Conflict } from '../errors.ts';
import type { Lease, Leases } from '../postgres/lease.ts';

/** Long, for an upload should outlast a restart of the database. */
const times = { expiry: 15_000, renewal: 1_000 };
/** How long a request waits for the one before it to stop. */
const patienceMs = 20_000;

/** The right to write to a partial upload. `askToRelease` is called when another request wants it. */
export type PartialUploadLease = {
  lock: (signal: AbortSignal, askToRelease: () => Promise<void> | void) => Promise<void>;
  unlock: () => Promise<void>;
};

/**
 * Lets one request at a time write to a partial upload, on whichever node. The next request asks the holder to stop, whose
 * connection may be half open with no client behind it any more.
 */
export class PartialUploadLeases {
  readonly #leases: Leases;

  constructor(leases: Leases) {
    this.#leases = leases;
  }

  /** A lease to be taken, for one request. Its methods are what the tus server calls. */
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

  /** Asks all holders of this node to stop, as it does before it ends: what has arrived by then is kept. */
  letGo(): void {
    this.#leases.askToRelease();
  }
}
