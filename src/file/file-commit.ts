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
 * The maximum number of files that one transaction saves (a single unit may have more), and the maximum number of units
 * that wait. While the database processes one batch, this process prepares the next. With a batch size of 64, all 64
 * concurrent uploads went into a single batch, so the database and this process waited for each other, which made
 * uploads a fifth slower (measured).
 */
const maxBatch = 32;
const lockNotAvailable = '55P03';
const maxWaiting = 10_000;

/**
 * Saves files in short transactions; see BatchCommit. Files whose bytes are inline are saved together in one statement,
 * even if they belong to different users. A user's files go through a separate lane in three cases: their bytes must
 * first go to a store; they arrived in parts; or saving them together with the files of other users fails, because the
 * user is over their quota or another transaction is adding to that user's files.
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
      // One lane per user, so that a commit that waits for the user's previous one does not hold a connection.
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

  /** If a unit exceeds its user's quota, only that unit fails. */
  async #commitOfOne(units: Unit[]): Promise<Outcome<SharedFile[]>[]> {
    const made = await this.#keep(units);
    if (made === null) throw overQuota(this.#userQuotaBytes);
    return units.map(({ files }) => ({ value: made.splice(0, files.length) }));
  }

  /** Stores the bytes and inserts the rows in one transaction. Returns null if the files exceed the quota. */
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
      // The bytes are stored while the locks are held and before the commit, so that no sweep removes them and no row
      // refers to bytes that do not exist. They are stored after all statements, so that a transaction that has to be
      // retried has not stored any bytes yet.
      await settleAll(stagedOf(files).map((staged) => staged.keep()));
      return made;
    });
  }

  #terms(terms: { waits: boolean; partialId: string | null }) {
    return { ...terms, quotaBytes: this.#userQuotaBytes };
  }
}

/**
 * If a unit fails because of its user, the other units do not fail. A batch is not retried if its outcome is unknown or
 * if its bytes are already in the store.
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
 * Returns how many units, counted from the first, the next transaction saves. A partial upload gets its own
 * transaction, so that other uploads do not fail with it.
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
 * Like Promise.all, but rejects only after every promise has settled. The rollback that follows releases the locks. By
 * then, no bytes may still be on their way to the store.
 */
async function settleAll(promises: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(promises);
  await Promise.all(promises);
}

/**
 * Records the file that a partial upload became. Throws Conflict if the partial upload already has a file or has been
 * deleted. Raw SQL, because this statement is part of the file batch.
 */
async function completePartial(client: Queryable, partialId: string, [file]: SharedFile[]): Promise<void> {
  const { rowCount } = await client.query('update partial_uploads set file_id = $2 where id = $1 and file_id is null', [
    partialId,
    file?.id,
  ]);
  if (rowCount !== 1) throw new Conflict('This upload has already been completed.', []);
}
