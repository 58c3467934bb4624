import type pg from 'pg';
import type { ChatType } from '../postgres/generated/prisma/client.ts';
import { RateLimited } from '../errors.ts';
import type { Queryable } from '../postgres/client.ts';
import { sqlStateOf } from '../postgres/sql-state.ts';

/** How many writes one transaction takes, and how many may wait before more are refused. */
const maxBatch = 500;
const maxWaiting = 10_000;
/** How many chats that somebody else holds are waited for at a time, each on a connection of its own. */
const maxLanes = 3;
const laneLockTimeout = '5s';

/** A chat whose row this transaction has locked. `lastSeq` moves with the messages that are placed. */
export type LockedChat = { id: bigint; type: ChatType; lastSeq: number };

/** What became of one write: it fails alone. */
export type Outcome<Output> = { value: Output } | { error: Error };

/**
 * One sort of write: does many at once, in their order, inside a transaction that holds the lock of every chat in
 * `chats`. A write whose chat isn't there has no chat. Gives an outcome for each; throwing means that none was done.
 */
export type WriteKind<Input extends { chatId: bigint }, Output> = {
  write: (client: Queryable, chats: ReadonlyMap<bigint, LockedChat>, inputs: Input[]) => Promise<Outcome<Output>[]>;
};

type Pending = {
  kind: WriteKind<{ chatId: bigint }, unknown>;
  input: { chatId: bigint };
  resolve: (output: never) => void;
  reject: (error: unknown) => void;
};

/**
 * Puts what waits together into one short transaction. Commits that notify go one after the other in PostgreSQL, about
 * 2,000 a second; 100 messages in each make that 40,000 messages (docs/architecture.md, measured). While one transaction is
 * under way the next writes gather; when none is, a write goes at once: no timer, no added latency.
 *
 * A chat that somebody else has locked (psql in an open transaction) would stop all others, so its writes go to a lane
 * of their own and wait there, in order.
 */
export class GroupCommit {
  readonly #pool: pg.Pool;
  readonly #lanes = new Map<bigint, Pending[]>();
  #waiting: Pending[] = [];
  #waitingCount = 0;
  #isFlushing = false;
  readonly #running = new Set<bigint>();

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** Resolves once the write is durable. Rejects with the write's own error, or RateLimited when too much waits. */
  submit<Input extends { chatId: bigint }, Output>(kind: WriteKind<Input, Output>, input: Input): Promise<Output> {
    if (this.#waitingCount >= maxWaiting) {
      return Promise.reject(new RateLimited('The server has more to write than it can: try again.', 1));
    }
    this.#waitingCount += 1;
    const written = new Promise<Output>((resolve, reject) => {
      const pending: Pending = {
        // Each kind is given back its own inputs only.
        kind: kind as unknown as Pending['kind'],
        input,
        resolve,
        reject,
      };
      const lane = this.#lanes.get(input.chatId);
      if (lane === undefined) this.#waiting.push(pending);
      else lane.push(pending);
    });
    if (!this.#isFlushing && this.#waiting.length > 0) void this.#flush();
    return written.finally(() => (this.#waitingCount -= 1));
  }

  async #flush(): Promise<void> {
    this.#isFlushing = true;
    while (this.#waiting.length > 0) await this.#commit(this.#waiting.splice(0, maxBatch), { isLane: false });
    this.#isFlushing = false;
  }

  /** One transaction for all of them; when that fails before its commit, one for each. Never rejects. */
  async #commit(batch: Pending[], { isLane, isRepeated = false }: { isLane: boolean; isRepeated?: boolean }) {
    let isCommitting = false;
    let mine = batch;
    try {
      await withConnection(this.#pool, async (client) => {
        await client.query(isLane ? `begin; set local lock_timeout = '${laneLockTimeout}'` : 'begin');
        const chats = await lockChats(client, chatIdsOf(batch), { waits: isLane });
        if (!isLane) mine = await this.#leaveToLanes(client, batch, chats);
        const outcomes = await writeAll(client, chats, mine);
        isCommitting = true;
        await client.query('commit');
        for (const [index, pending] of mine.entries()) settle(pending, outcomes[index]);
      });
    } catch (error) {
      // A commit whose answer was lost may have happened: doing it again could do it twice. A lone write is tried again
      // when somebody else has just made what it would have made: now it finds that.
      const isWorthAnother = !isCommitting && (mine.length > 1 || (isTaken(error) && !isRepeated));
      if (!isWorthAnother) for (const pending of mine) pending.reject(isLane ? explainLock(error) : error);
      else for (const pending of mine) await this.#commit([pending], { isLane, isRepeated: mine.length === 1 });
    }
  }

  /** Of the batch, those whose chats are ours or aren't there; the rest wait for their chats elsewhere. */
  async #leaveToLanes(client: Queryable, batch: Pending[], chats: ReadonlyMap<bigint, LockedChat>): Promise<Pending[]> {
    const absent = chatIdsOf(batch).filter((chatId) => !chats.has(chatId));
    if (absent.length === 0) return batch;
    const { rows } = await client.query<{ id: bigint }>('select id from chats where id = any ($1)', [absent]);
    const held = new Set(rows.map(({ id }) => id));
    const isHeld = ({ input }: Pending) => held.has(input.chatId);
    // Those that came meanwhile go along, or later ones would overtake them.
    for (const pending of [...batch, ...this.#waiting].filter(isHeld)) {
      const { chatId } = pending.input;
      const lane = this.#lanes.get(chatId);
      if (lane === undefined) this.#lanes.set(chatId, [pending]);
      else lane.push(pending);
    }
    this.#waiting = this.#waiting.filter((pending) => !isHeld(pending));
    this.#runLanes();
    return batch.filter((pending) => !isHeld(pending));
  }

  #runLanes(): void {
    for (const chatId of this.#lanes.keys()) {
      if (this.#running.size >= maxLanes) return;
      if (!this.#running.has(chatId)) void this.#runLane(chatId);
    }
  }

  async #runLane(chatId: bigint): Promise<void> {
    this.#running.add(chatId);
    for (;;) {
      const batch = this.#lanes.get(chatId)?.splice(0, maxBatch) ?? [];
      if (batch.length === 0) break;
      await this.#commit(batch, { isLane: true });
    }
    this.#lanes.delete(chatId);
    this.#running.delete(chatId);
    this.#runLanes();
  }
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
  batch: Pending[],
): Promise<Outcome<unknown>[]> {
  const outcomes = new Map<Pending, Outcome<unknown>>();
  for (const kind of new Set(batch.map((pending) => pending.kind))) {
    const some = batch.filter((pending) => pending.kind === kind);
    const results = await kind.write(
      client,
      chats,
      some.map(({ input }) => input),
    );
    for (const [index, pending] of some.entries()) {
      outcomes.set(pending, results[index] ?? { error: new Error('a write has no outcome') });
    }
  }
  return batch.map((pending) => outcomes.get(pending) ?? { error: new Error('a write has no outcome') });
}

function settle(pending: Pending, outcome: Outcome<unknown> | undefined): void {
  if (outcome !== undefined && 'value' in outcome) pending.resolve(outcome.value as never);
  else pending.reject(outcome?.error);
}

function chatIdsOf(batch: Pending[]): bigint[] {
  return [...new Set(batch.map(({ input }) => input.chatId))];
}

/** 23505: a unique key is somebody else's. */
function isTaken(error: unknown): boolean {
  return sqlStateOf(error) === '23505';
}

/** 55P03: the lock could not be had in time. */
function explainLock(error: unknown): unknown {
  return sqlStateOf(error) === '55P03'
    ? new RateLimited('This chat is being changed by somebody else: try again.', 1)
    : error;
}
