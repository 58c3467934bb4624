import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import { BatchCommit, type Outcome, type Remedy } from '../postgres/batch-commit.ts';
import { sqlStateOf } from '../postgres/sql-state.ts';
import { isConflict, isUndone, maxConflicts } from '../postgres/transient.ts';
import { Conflict, NotFound, StoreFull, TooLarge } from '../errors.ts';
import { FileInsertion, stagedOf, type PreparedFile } from './file-insertion.ts';
import { overQuota } from './file-quota.ts';
import type { SharedFile } from './shared-file.ts';
import type { Asker } from '../core/asker.ts';

/** Files of one user that are saved together or not at all. */
type Unit = { uploaderId: bigint; files: PreparedFile[]; partialId: string | null };

/**
 * How many files one transaction saves (more only if a single unit has more), and how many units can wait. While the
 * database works on one batch, this process prepares the next: with a batch of 64, 64 concurrent uploads all went into
 * one, and each side waited for the other (measured: a fifth slower).
 */
const maxBatch = 32;
const lockNotAvailable = '55P03';
const maxWaiting = 10_000;

/**
 * Saves files in short transactions; see BatchCommit. Files whose bytes are inline are saved together in one statement,
 * no matter which users upload them. A user's files go through a separate lane if their bytes must first go to a store,
 * if they arrived in parts, or if saving them together with others' fails (because the user is over their quota, or
 * another transaction is adding to their files).
 */
export class FileCommit {
  readonly #db: Db;
  readonly #userQuotaBytes: number;
  readonly #batches: BatchCommit<Unit, SharedFile[]>;

  constructor(db: Db, userQuotaBytes: number) {
    this.#db = db;
    this.#userQuotaBytes = userQuotaBytes;
    this.#batches = new BatchCommit({
      maxWaiting,
      refusal: 'The server is receiving too many files: try again.',
      // One lane per user: a commit that waits for the user's previous one holds no connection.
      maxLanes: Infinity,
      laneOf: ({ uploaderId }) => uploaderId,
      isAlone: ({ files, partialId }) => partialId !== null || !isInline(files),
      count: countTogether,
      commit: (units, { isLane }) => (isLane ? this.#commitOfOne(units) : this.#commitOfMany(units)),
      remedyFor,
    });
  }

  /**
   * Resolves once the files are durable. Rejects with RateLimited when too many units wait. `partialId`: see
   * `saveFiles`.
   */
  submit({ userId }: Pick<Asker, 'userId'>, files: PreparedFile[], partialId: string | null): Promise<SharedFile[]> {
    return this.#batches.submit({ uploaderId: userId, files, partialId });
  }

  async #commitOfMany(units: Unit[]): Promise<(Outcome<SharedFile[]> | null)[]> {
    const insertion = new FileInsertion(own(units));
    try {
      const made = await insertion.insert(this.#db.pool, this.#terms({ waits: false, partialId: null }));
      return units.map((unit) => {
        const files = allOrNull(made.splice(0, unit.files.length));
        return files && { value: files };
      });
    } catch (error) {
      if (sqlStateOf(error) !== lockNotAvailable) throw error;
      // The error does not say which user's files are locked, so every unit waits in its user's lane.
      return units.map(() => null);
    }
  }

  /** A unit that exceeds its user's quota fails alone. */
  async #commitOfOne(units: Unit[]): Promise<Outcome<SharedFile[]>[]> {
    const made = await this.#keep(units);
    if (made === null) throw overQuota(this.#userQuotaBytes);
    return units.map(({ files }) => ({ value: made.splice(0, files.length) }));
  }

  /** Stores the bytes and inserts the rows in one transaction. Returns null if they exceed the quota. */
  async #keep(batch: Unit[]): Promise<SharedFile[] | null> {
    const insertion = new FileInsertion(own(batch));
    const files = batch.flatMap((unit) => unit.files);
    const terms = this.#terms({ waits: true, partialId: batch[0]?.partialId ?? null });
    const { partialId } = terms;
    if (isInline(files) && partialId === null) return allOrNull(await insertion.insert(this.#db.pool, terms));
    return inTransaction(this.#db, async (client) => {
      const made = allOrNull(await insertion.insert(client, terms));
      if (made === null) return null;
      if (partialId !== null) await completePartial(client, partialId, made);
      // This happens under the locks and before the commit, so no sweep removes these bytes, and no row refers to bytes
      // that are not there. It comes after all statements, so a transaction that has to be repeated has not moved any
      // bytes.
      await settleAll(stagedOf(files).map((staged) => staged.keep()));
      return made;
    });
  }

  #terms(terms: { waits: boolean; partialId: string | null }) {
    return { ...terms, quotaBytes: this.#userQuotaBytes };
  }
}

/**
 * A unit that fails because of its user does not make the others fail. A batch whose outcome is unknown, or whose bytes
 * are already in the store, is not repeated.
 */
function remedyFor(error: unknown, units: readonly Unit[], failures: number): Remedy {
  if (error instanceof TooLarge) return 'DIVIDE';
  const wasNotDone = error instanceof NotFound || error instanceof StoreFull || isUndone(error);
  if (!wasNotDone || !units.every(({ files }) => isInline(files))) return 'REJECT';
  return units.length === 1 && isConflict(error) && failures < maxConflicts ? 'REPEAT' : 'DIVIDE';
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

/**
 * How many units, counted from the first, one transaction takes. A partial upload gets its own transaction, so that it
 * fails alone.
 */
function countTogether(waiting: readonly Unit[]): number {
  let files = 0;
  const end = waiting.findIndex((unit, index) => {
    files += unit.files.length;
    return index > 0 && (files > maxBatch || unit.partialId !== null || waiting[0]?.partialId !== null);
  });
  return end === -1 ? waiting.length : end;
}

/**
 * Like Promise.all, but rejects only after every promise has settled: the rollback that follows releases the locks, and
 * no bytes may still be moving by then.
 */
async function settleAll(promises: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(promises);
  await Promise.all(promises);
}

/**
 * Records the file of a partial upload. Throws Conflict if it already has one, or has been deleted. Raw SQL: part of
 * the file batch.
 */
async function completePartial(client: Queryable, partialId: string, [file]: SharedFile[]): Promise<void> {
  const { rowCount } = await client.query('update partial_uploads set file_id = $2 where id = $1 and file_id is null', [
    partialId,
    file?.id,
  ]);
  if (rowCount !== 1) throw new Conflict('This upload has already been completed.', []);
}
