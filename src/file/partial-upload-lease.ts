import { randomUUID } from 'node:crypto';
import type { Db } from '../postgres/client.ts';
import { Conflict, NotFound } from '../errors.ts';

/** A holder that says nothing for so long has died with its node. */
const leaseMs = 15_000;
const renewMs = 1_000;
/** So long somebody waits for the one before to let go, and looks so often whether it has. */
const patienceMs = 20_000;
const lookMs = 100;

type AskToRelease = () => Promise<void> | void;

/** The right to write to a partial upload. `askToRelease` is called when it is to be given back. */
export type PartialUploadLease = {
  lock: (signal: AbortSignal, askToRelease: AskToRelease) => Promise<void>;
  unlock: () => Promise<void>;
};

/**
 * Lets one request at a time write to a partial upload, on whichever node. Who comes next asks the holder to let go, for
 * its connection may be half open and nobody be there any more.
 */
export class PartialUploadLeases {
  readonly #db: Db;
  /** Of the leases that this node holds, by the upload: asks its holder to let go. */
  readonly #held = new Map<string, AskToRelease>();

  constructor(db: Db) {
    this.#db = db;
  }

  /** A lease that is to be had, for one request. Its methods are what the tus server calls. */
  newLock(id: string): PartialUploadLease {
    const holder = randomUUID();
    let timer: NodeJS.Timeout | undefined;
    return {
      lock: async (signal, askToRelease) => {
        await this.#wait(id, holder, signal);
        this.#held.set(id, askToRelease);
        let until = Date.now() + leaseMs;
        timer = setInterval(() => {
          const renewedUntil = Date.now() + leaseMs;
          this.#renew(id, holder).then(
            (goesOn) => {
              until = renewedUntil;
              if (!goesOn) void askToRelease();
            },
            // The database may be back before somebody else could take it.
            () => void (Date.now() > until - 2 * renewMs && askToRelease()),
          );
        }, renewMs);
      },
      unlock: async () => {
        clearInterval(timer);
        this.#held.delete(id);
        await this.#db.pool.query(
          `update partial_uploads set held_by = null, held_until = null, is_wanted = false
          where id = $1 and held_by = $2`,
          [id, holder],
        );
      },
    };
  }

  /** Asks all holders of this node to let go, as it does when it stops: what has come by then is kept. */
  letGo(): void {
    for (const askToRelease of this.#held.values()) void askToRelease();
  }

  /** Conflict when the holder doesn't let go in time; NotFound when the upload is gone. */
  async #wait(id: string, holder: string, signal: AbortSignal): Promise<void> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      const state = await this.#take(id, holder);
      if (state === 'taken') return;
      if (state === 'gone') throw new NotFound('There is no such upload.');
      void this.#held.get(id)?.();
      if (signal.aborted || Date.now() > deadline) {
        throw new Conflict('Another request is writing to this upload: try again.', []);
      }
      await new Promise((resolve) => setTimeout(resolve, lookMs));
    }
  }

  async #take(id: string, holder: string): Promise<'taken' | 'held' | 'gone'> {
    const { pool } = this.#db;
    const taken = await pool.query(
      `update partial_uploads set held_by = $2, held_until = now() + $3 * interval '1 ms', is_wanted = false
      where id = $1 and (held_until is null or held_until < now())`,
      [id, holder, leaseMs],
    );
    if (taken.rowCount === 1) return 'taken';
    const asked = await pool.query('update partial_uploads set is_wanted = true where id = $1', [id]);
    return asked.rowCount === 1 ? 'held' : 'gone';
  }

  /** Whether it still is the holder's, and nobody else asks for it. */
  async #renew(id: string, holder: string): Promise<boolean> {
    const { rows } = await this.#db.pool.query<{ isWanted: boolean }>(
      `update partial_uploads set held_until = now() + $3 * interval '1 ms'
      where id = $1 and held_by = $2 returning is_wanted as "isWanted"`,
      [id, holder, leaseMs],
    );
    return rows[0]?.isWanted === false;
  }
}
