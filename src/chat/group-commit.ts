import type pg from 'pg';
import type { ChatType } from '../postgres/generated/prisma/client.ts';
import { RateLimited } from '../errors.ts';
import type { Caller } from '../core/asker.ts';
import { noMetrics, type Metrics } from '../core/metric.ts';
import { requestScope } from '../core/request-scope.ts';
import { spanNow, withSpan, type Span } from '../core/trace.ts';
import { announceTraces, readTransactionId } from '../postgres/commit-trace.ts';
import { BatchCommit, type Outcome, type Remedy } from '../postgres/batch-commit.ts';
import type { Queryable } from '../postgres/client.ts';
import { sqlStateOf } from '../postgres/sql-state.ts';
import { isConflict, isTransient, isUndone, maxConflicts } from '../postgres/transient.ts';

/**
 * The maximum number of writes in one transaction, and the maximum number that may wait before further writes are
 * refused.
 */
const maxBatch = 500;
const maxWaiting = 10_000;
/**
 * The maximum number of chats that the server waits for at the same time while other transactions have them locked.
 * Each of these chats takes a connection.
 */
const maxLanes = 3;
const laneLockTimeout = '5s';

const lockNotAvailable = '55P03';
const uniqueViolation = '23505';

/** A chat whose row this transaction has locked. `lastSeq` increases as messages get their seqs. */
export type LockedChat = { id: bigint; type: ChatType; lastSeq: number; slowModeSeconds: number };

/**
 * A kind of write. `write` performs many writes together, in the given order, inside a transaction that has locked
 * every chat in `chats`. Chats that do not exist are missing from the map. It returns an outcome for each input. If it
 * throws, nothing was written.
 */
export type WriteKind<Input extends { chatId: bigint }, Output> = {
  write: (client: Queryable, chats: ReadonlyMap<bigint, LockedChat>, inputs: Input[]) => Promise<Outcome<Output>[]>;
};

/** `span` and `caller` come from the request that caused the write, if that request is traced. */
type Write = {
  kind: WriteKind<{ chatId: bigint }, unknown>;
  input: { chatId: bigint };
  span: Span | undefined;
  caller: Caller | null;
};

/** A commit failed, or its response was lost. In either case, the transaction may have been committed. */
class CommitLost extends Error {}

/**
 * Combines waiting writes into one short transaction. PostgreSQL runs commits that notify one at a time, about 2,000
 * per second. Commits of 100 messages are slower, but together they reach a rate of 40,000 messages per second
 * (measured, see docs/architecture.md). See BatchCommit.
 *
 * A chat that another transaction (for example, one left open in psql) has locked would block the writes to all other
 * chats. The writes to such a chat therefore wait in a separate lane, in order.
 */
export class GroupCommit {
  readonly #pool: pg.Pool;
  readonly #metrics: Metrics;
  readonly #batches: BatchCommit<Write, unknown>;

  constructor(pool: pg.Pool, metrics: Metrics = noMetrics) {
    this.#pool = pool;
    this.#metrics = metrics;
    this.#batches = new BatchCommit({
      maxWaiting,
      refusal: 'The server has too many writes waiting: try again.',
      maxLanes,
      laneOf: ({ input }) => input.chatId,
      count: (writes) => Math.min(writes.length, maxBatch),
      commit: (writes, options) => this.#commit(writes, options),
      remedyFor,
    });
  }

  /**
   * Resolves once the write is durable. Rejects with the error of the write itself, or with RateLimited if too many
   * writes are waiting.
   */
  submit<Input extends { chatId: bigint }, Output>(kind: WriteKind<Input, Output>, input: Input): Promise<Output> {
    // The casts are safe because each kind receives only its own inputs, and its outputs go back to the submitters of
    // those inputs.
    const span = spanNow();
    const caller = span === undefined ? null : (requestScope.getStore()?.caller ?? null);
    const write = { kind: kind as unknown as Write['kind'], input, span, caller };
    return this.#batches.submit(write).catch(explain) as Promise<Output>;
  }

  /** Commits the writes. Each traced request gets a span for the transaction that it shares with other requests. */
  async #commit(writes: Write[], options: { isLane: boolean }): Promise<(Outcome<unknown> | null)[]> {
    const attributes = { 'parley.batch.writes': writes.length };
    const traces = writes.flatMap(({ span, caller }) =>
      span === undefined ? [] : { span: span.child('group commit', { attributes }), actorId: caller?.userId ?? null },
    );
    let transactionId: string | null = null;
    const beforeCommit = async (client: Queryable) => {
      if (traces.length > 0) transactionId = await readTransactionId(client);
    };
    try {
      return await withSpan(traces[0]?.span, () => this.#commitBatch(writes, { ...options, beforeCommit }));
    } finally {
      for (const { span } of traces) span.end();
      const parents = traces.map(({ span, actorId }) => ({ actorId, parent: span.parent }));
      if (transactionId !== null) announceTraces(this.#pool, transactionId, parents);
    }
  }

  async #commitBatch(
    writes: Write[],
    { isLane, beforeCommit }: { isLane: boolean; beforeCommit: (client: Queryable) => Promise<void> },
  ): Promise<(Outcome<unknown> | null)[]> {
    const startedAt = performance.now();
    let outcomes: (Outcome<unknown> | null)[] = [];
    // Raw SQL, like all statements of these writes, because a Prisma transaction costs about twice as much.
    await withConnection(this.#pool, async (client) => {
      await client.query(isLane ? `begin; set local lock_timeout = '${laneLockTimeout}'` : 'begin');
      const chats = await lockChats(client, chatIdsOf(writes), { waits: isLane });
      const busy = isLane ? new Set<bigint>() : await findBusyChats(client, writes, chats);
      const mine = writes.filter(({ input }) => !busy.has(input.chatId));
      const written = await writeAll(client, chats, mine);
      await beforeCommit(client);
      await client.query('commit').catch((error: unknown) => {
        throw new CommitLost('the answer to a commit was lost', { cause: error });
      });
      outcomes = writes.map((write) => written.get(write) ?? null);
    });
    this.#metrics.observe('commitBatch', writes.length, {});
    this.#metrics.observe('commitSeconds', (performance.now() - startedAt) / 1000, {});
    return outcomes;
  }
}

function remedyFor(error: unknown, writes: readonly Write[], failures: number): Remedy {
  const state = sqlStateOf(error) ?? '';
  // A lost commit may have succeeded. Without resources or write access, each half of the batch would also fail.
  if (error instanceof CommitLost || /^(25|53|54|58)/.test(state)) return 'REJECT';
  // Dividing the batch would not help, because all writes of a lane wait for the same lock, and a lost connection fails
  // all of them.
  if (state === lockNotAvailable || (isTransient(error) && !isUndone(error))) return failures > 1 ? 'REJECT' : 'REPEAT';
  if (writes.length > 1) return 'DIVIDE';
  if (isConflict(error)) return failures < maxConflicts ? 'REPEAT' : 'REJECT';
  // Another transaction has just inserted the row that this transaction was about to insert. The next attempt finds
  // that row.
  return state === uniqueViolation && failures === 1 ? 'REPEAT' : 'REJECT';
}

/** Returns the chats that exist but are locked by another transaction. */
async function findBusyChats(
  client: Queryable,
  writes: Write[],
  chats: ReadonlyMap<bigint, LockedChat>,
): Promise<Set<bigint>> {
  const absent = chatIdsOf(writes).filter((chatId) => !chats.has(chatId));
  if (absent.length === 0) return new Set();
  const { rows } = await client.query<{ id: bigint }>('select id from chats where id = any ($1)', [absent]);
  return new Set(rows.map(({ id }) => id));
}

/** Rolls back if `work` fails. If even the rollback fails, the connection is closed instead of reused. */
async function withConnection(pool: pg.Pool, work: (client: Queryable) => Promise<void>): Promise<void> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await work(client);
  } catch (error) {
    await client.query('rollback').catch((failure: Error) => (broken = failure));
    throw error;
  } finally {
    client.release(broken);
  }
}

/**
 * Locks the chats in the order of their ids. Without `waits`, locks only the chats that no other transaction has
 * locked.
 */
async function lockChats(
  client: Queryable,
  chatIds: bigint[],
  { waits }: { waits: boolean },
): Promise<Map<bigint, LockedChat>> {
  const { rows } = await client.query<LockedChat>({
    name: waits ? 'lock_chats' : 'lock_free_chats',
    text: `select id, type, last_seq as "lastSeq", slow_mode_seconds as "slowModeSeconds" from chats
    where id = any ($1) order by id for no key update ${waits ? '' : 'skip locked'}`,
    values: [chatIds],
  });
  return new Map(rows.map((chat) => [chat.id, chat]));
}

/** Runs all writes of a kind together, one kind after another. */
async function writeAll(
  client: Queryable,
  chats: ReadonlyMap<bigint, LockedChat>,
  writes: Write[],
): Promise<Map<Write, Outcome<unknown>>> {
  const outcomes = new Map<Write, Outcome<unknown>>();
  for (const kind of new Set(writes.map((write) => write.kind))) {
    const ofKind = writes.filter((write) => write.kind === kind);
    const results = await kind.write(
      client,
      chats,
      ofKind.map(({ input }) => input),
    );
    for (const [index, write] of ofKind.entries()) {
      outcomes.set(write, results[index] ?? { error: new Error('the write kind returned no outcome for a write') });
    }
  }
  return outcomes;
}

function chatIdsOf(writes: Write[]): bigint[] {
  return [...new Set(writes.map(({ input }) => input.chatId))];
}

/** Throws the error that the submitter receives. */
function explain(error: unknown): never {
  if (error instanceof CommitLost) throw error.cause;
  if (sqlStateOf(error) === lockNotAvailable) {
    throw new RateLimited('This chat is being changed by another transaction: try again.', 1);
  }
  throw error;
}
