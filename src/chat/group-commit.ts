import type pg from 'pg';
import type { ChatType } from '../postgres/generated/prisma/client.ts';
import { RateLimited } from '../errors.ts';
import { BatchCommit, type Outcome, type Remedy } from '../postgres/batch-commit.ts';
import type { Queryable } from '../postgres/client.ts';
import { sqlStateOf } from '../postgres/sql-state.ts';
import { isTransient, isUndone } from '../postgres/transient.ts';

/** How many writes one transaction takes, and how many may wait before more are refused. */
const maxBatch = 500;
const maxWaiting = 10_000;
/** How many chats that somebody else holds are waited for at a time, each on a connection of its own. */
const maxLanes = 3;
const laneLockTimeout = '5s';

const lockNotAvailable = '55P03';
const uniqueViolation = '23505';

/** A chat whose row this transaction has locked. `lastSeq` moves with the messages that are placed. */
export type LockedChat = { id: bigint; type: ChatType; lastSeq: number };

/**
 * One sort of write: does many at once, in their order, inside a transaction that holds the lock of every chat in
 * `chats`. A write whose chat isn't there has no chat. Gives an outcome for each; throwing means that none was done.
 */
export type WriteKind<Input extends { chatId: bigint }, Output> = {
  write: (client: Queryable, chats: ReadonlyMap<bigint, LockedChat>, inputs: Input[]) => Promise<Outcome<Output>[]>;
};

type Write = { kind: WriteKind<{ chatId: bigint }, unknown>; input: { chatId: bigint } };

/** A commit failed, or its answer was lost: it may have happened. */
class CommitLost extends Error {}

/**
 * Puts what waits together into one short transaction. Commits that notify go one after the other in PostgreSQL, about
 * 2,000 a second; 100 messages in each make that 40,000 messages (docs/architecture.md, measured). See BatchCommit.
 *
 * A chat that another transaction has locked (psql, left open) would stop all others, so its writes go to a lane of their
 * own and wait there, in order.
 */
export class GroupCommit {
  readonly #pool: pg.Pool;
  readonly #batches: BatchCommit<Write, unknown>;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
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

  /** Resolves once the write is durable. Rejects with the write's own error, or RateLimited when too much waits. */
  submit<Input extends { chatId: bigint }, Output>(kind: WriteKind<Input, Output>, input: Input): Promise<Output> {
    // Each kind is given back its own inputs, and gives its own outputs.
    return this.#batches.submit({ kind: kind as unknown as Write['kind'], input }).catch(explain) as Promise<Output>;
  }

  async #commit(writes: Write[], { isLane }: { isLane: boolean }): Promise<(Outcome<unknown> | null)[]> {
    let outcomes: (Outcome<unknown> | null)[] = [];
    // As SQL, like all that runs in it: a transaction of Prisma's costs about twice as much.
    await withConnection(this.#pool, async (client) => {
      await client.query(isLane ? `begin; set local lock_timeout = '${laneLockTimeout}'` : 'begin');
      const chats = await lockChats(client, chatIdsOf(writes), { waits: isLane });
      const held = isLane ? new Set<bigint>() : await findHeld(client, writes, chats);
      const mine = writes.filter(({ input }) => !held.has(input.chatId));
      const written = await writeAll(client, chats, mine);
      await client.query('commit').catch((error: unknown) => {
        throw new CommitLost('the answer to a commit was lost', { cause: error });
      });
      outcomes = writes.map((write) => written.get(write) ?? null);
    });
    return outcomes;
  }
}

function remedyFor(error: unknown, writes: readonly Write[]): Remedy {
  const state = sqlStateOf(error) ?? '';
  // It would be the same for each half: no room, or no right to write.
  if (error instanceof CommitLost || /^(25|53|54|58)/.test(state)) return 'REJECT';
  // A lock that all of a lane wait for; a connection that has gone, when another one will do.
  if (state === lockNotAvailable || (isTransient(error) && !isUndone(error))) return 'REPEAT';
  if (writes.length > 1) return 'DIVIDE';
  // Another transaction has just made what this one would have made: now it finds that.
  return state === uniqueViolation ? 'REPEAT' : 'REJECT';
}

/** The chats that are there, and that another transaction has locked. */
async function findHeld(
  client: Queryable,
  writes: Write[],
  chats: ReadonlyMap<bigint, LockedChat>,
): Promise<Set<bigint>> {
  const absent = chatIdsOf(writes).filter((chatId) => !chats.has(chatId));
  if (absent.length === 0) return new Set();
  const { rows } = await client.query<{ id: bigint }>('select id from chats where id = any ($1)', [absent]);
  return new Set(rows.map(({ id }) => id));
}

/** Rolls back what fails; a connection that can't even do that serves nobody else. */
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

/** Locks the chats in the order of their ids; without `waits`, only those that nobody else holds. */
async function lockChats(
  client: Queryable,
  chatIds: bigint[],
  { waits }: { waits: boolean },
): Promise<Map<bigint, LockedChat>> {
  const { rows } = await client.query<LockedChat>({
    name: waits ? 'lock_chats' : 'lock_free_chats',
    text: `select id, type, last_seq as "lastSeq" from chats
    where id = any ($1) order by id for no key update ${waits ? '' : 'skip locked'}`,
    values: [chatIds],
  });
  return new Map(rows.map((chat) => [chat.id, chat]));
}

/** Each kind's writes together, the kinds one after the other. */
async function writeAll(
  client: Queryable,
  chats: ReadonlyMap<bigint, LockedChat>,
  writes: Write[],
): Promise<Map<Write, Outcome<unknown>>> {
  const outcomes = new Map<Write, Outcome<unknown>>();
  for (const kind of new Set(writes.map((write) => write.kind))) {
    const some = writes.filter((write) => write.kind === kind);
    const results = await kind.write(
      client,
      chats,
      some.map(({ input }) => input),
    );
    for (const [index, write] of some.entries()) {
      outcomes.set(write, results[index] ?? { error: new Error('a write has no outcome') });
    }
  }
  return outcomes;
}

function chatIdsOf(writes: Write[]): bigint[] {
  return [...new Set(writes.map(({ input }) => input.chatId))];
}

/** What was wrong, as its sender is to be told. */
function explain(error: unknown): never {
  if (error instanceof CommitLost) throw error.cause;
  if (sqlStateOf(error) === lockNotAvailable) {
    throw new RateLimited('This chat is being changed by another transaction: try again.', 1);
  }
  throw error;
}
