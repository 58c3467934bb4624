import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import { isUndone } from '../postgres/transient.ts';
import { Conflict, NotFound, RateLimited, StoreFull } from '../errors.ts';
import { Addition, stagedOf, type PreparedFile } from './file-addition.ts';
import { overQuota } from './file-quota.ts';
import type { SharedFile } from './shared-file.ts';
import type { Asker } from '../core/asker.ts';

/** Files that become somebody's together, or not at all. */
type Unit = {
  uploaderId: bigint;
  files: PreparedFile[];
  partialId: string | null;
  resolve: (files: SharedFile[]) => void;
  reject: (error: unknown) => void;
};

/**
 * How many files one transaction takes, unless a single unit has more: while the database has these, requests for the next
 * are dealt with. Of 64 at once all 64 gathered in one, and each side waited for the other (measured: a fifth slower). And how
 * many units may wait in all.
 */
const maxBatch = 32;
const maxWaiting = 10_000;

/**
 * Keeps files in short transactions. Where their bytes are inline, those of all people go together: what comes while one
 * transaction is under way goes into the next, and costs one statement and one commit. A person for whom that didn't do
 * (they are over their quota, or another transaction is adding to their files) and files whose bytes go elsewhere first
 * have a lane of their own, where they wait for nobody but each other. Nobody holds a connection to the database, of which
 * there are few for all, while they wait for one of ours.
 */
export class FileCommit {
  readonly #db: Db;
  readonly #userQuotaBytes: number;
  readonly #lanes = new Map<bigint, Unit[]>();
  #waiting: Unit[] = [];
  #waitingCount = 0;
  #isFlushing = false;

  constructor(db: Db, userQuotaBytes: number) {
    this.#db = db;
    this.#userQuotaBytes = userQuotaBytes;
  }

  /** Resolves once they are durable. Rejects with RateLimited when too much waits. `partialId`: see `keepFiles`. */
  submit({ userId }: Asker, files: PreparedFile[], partialId: string | null): Promise<SharedFile[]> {
    if (this.#waitingCount >= maxWaiting) {
      return Promise.reject(new RateLimited('The server has more files to keep than it can: try again.', 1));
    }
    this.#waitingCount += 1;
    const kept = new Promise<SharedFile[]>((resolve, reject) => {
      const unit = { uploaderId: userId, files, partialId, resolve, reject };
      const isAlone = partialId !== null || !isInline(files) || this.#lanes.has(userId);
      if (isAlone) this.#enterLane(unit);
      else {
        this.#waiting.push(unit);
        if (!this.#isFlushing) void this.#flush();
      }
    });
    return kept.finally(() => (this.#waitingCount -= 1));
  }

  async #flush(): Promise<void> {
    this.#isFlushing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, countTogether(this.#waiting));
      try {
        const addition = new Addition(own(batch));
        const made = await addition.insert(this.#db.pool, this.#terms({ waits: false, partialId: null }));
        for (const unit of batch) {
          const files = allOrNull(made.splice(0, unit.files.length));
          if (files === null) this.#enterLane(unit);
          else unit.resolve(files);
        }
      } catch (error) {
        // Whoever it is for whom it can't be done, the others are not to suffer for it. But a commit whose answer was lost
        // may have happened: doing it again could do it twice.
        const isToRepeat = error instanceof NotFound || error instanceof StoreFull || isUndone(error);
        for (const unit of batch) {
          if (isToRepeat) this.#enterLane(unit);
          else unit.reject(error);
        }
      }
    }
    this.#isFlushing = false;
  }

  #enterLane(unit: Unit): void {
    const lane = this.#lanes.get(unit.uploaderId);
    if (lane !== undefined) lane.push(unit);
    else {
      this.#lanes.set(unit.uploaderId, [unit]);
      void this.#runLane(unit.uploaderId);
    }
  }

  async #runLane(uploaderId: bigint): Promise<void> {
    for (;;) {
      const waiting = this.#lanes.get(uploaderId) ?? [];
      const batch = waiting.splice(0, countTogether(waiting));
      if (batch.length === 0) break;
      await this.#settle(batch);
    }
    this.#lanes.delete(uploaderId);
  }

  /** Of one person. A unit that doesn't fit into the quota fails by itself. */
  async #settle(batch: Unit[]): Promise<void> {
    try {
      const made = await this.#keep(batch);
      if (made !== null) for (const { files, resolve } of batch) resolve(made.splice(0, files.length));
      else if (batch.length === 1) throw overQuota(this.#userQuotaBytes);
      else for (const unit of batch) await this.#settle([unit]);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  /** Bytes and rows, all at once: neither is of use without the other. Null when that is over the quota. */
  async #keep(batch: Unit[]): Promise<SharedFile[] | null> {
    const addition = new Addition(own(batch));
    const files = batch.flatMap((unit) => unit.files);
    const terms = this.#terms({ waits: true, partialId: batch[0]?.partialId ?? null });
    const { partialId } = terms;
    if (isInline(files) && partialId === null) return allOrNull(await addition.insert(this.#db.pool, terms));
    return inTransaction(this.#db, async (client) => {
      const made = allOrNull(await addition.insert(client, terms));
      // Under its locks, and before the commit: nobody sweeps these bytes, and no row says that they are there.
      if (made !== null) await settleAll(stagedOf(files).map((staged) => staged.keep()));
      if (made !== null && partialId !== null) await completePartial(client, partialId, made);
      return made;
    });
  }

  #terms(terms: { waits: boolean; partialId: string | null }) {
    return { ...terms, quotaBytes: this.#userQuotaBytes };
  }
}

function own(units: readonly Unit[]) {
  return units.flatMap(({ uploaderId, files }) => files.map((file) => ({ ...file, uploaderId })));
}

function isInline(files: readonly PreparedFile[]): boolean {
  return stagedOf(files).every(({ content }) => typeof content !== 'string');
}

function allOrNull(files: (SharedFile | null)[]): SharedFile[] | null {
  const made = files.filter((file) => file !== null);
  return made.length === files.length ? made : null;
}

/** Of the first units, those that one transaction takes. An upload that came in pieces fails by itself. */
function countTogether(waiting: readonly Unit[]): number {
  let files = 0;
  const end = waiting.findIndex((unit, index) => {
    files += unit.files.length;
    return index > 0 && (files > maxBatch || unit.partialId !== null || waiting[0]?.partialId !== null);
  });
  return end === -1 ? waiting.length : end;
}

/** As Promise.all, but nothing is under way any more when it rejects: a rollback lets the locks go. */
async function settleAll(promises: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(promises);
  await Promise.all(promises);
}

/** Of a partial upload only one file is made: Conflict when that has happened, or when it is gone. */
async function completePartial(client: Queryable, partialId: string, [file]: SharedFile[]): Promise<void> {
  const { rowCount } = await client.query('update partial_uploads set file_id = $2 where id = $1 and file_id is null', [
    partialId,
    file?.id,
  ]);
  if (rowCount !== 1) throw new Conflict('This upload has been completed already.', []);
}
