import { PrismaPg } from '@prisma/adapter-pg';
import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import { PrismaClient, type Prisma } from './generated/prisma/client.ts';
import type { RaisingQuery } from './connection.ts';
import { parseTimestamp } from './timestamp.ts';
import { ConnectionPool } from './pool.ts';
import { idleInTransactionMs } from './session-setting.ts';
import { isConflict, maxConflicts } from './transient.ts';
import type { Caller } from '../core/asker.ts';
import { spanNow } from '../core/trace.ts';
import { announceTraces, readTransactionId } from './commit-trace.ts';

/**
 * Access to the database: Prisma for the API's object graph, and the pool for performance-critical hand-written
 * statements. Both share the same connections. `searchPool` is only for searches. It has few connections, and
 * PostgreSQL cancels its statements after `searchTimeoutMs`.
 */
export type Db = { prisma: PrismaClient; pool: pg.Pool; searchPool: pg.Pool };

/** The object that executes a hand-written statement: a pooled connection, inside a transaction or not. */
export type Queryable = Pick<pg.ClientBase, 'query'>;

/** int8 is parsed as a bigint, so that ids have the same type in Prisma's rows and in ours. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) => {
    if (oid === pg.types.builtins.INT8) return BigInt as never;
    if (oid === pg.types.builtins.TIMESTAMPTZ) return parseTimestamp as never;
    return pg.types.getTypeParser(oid, format);
  },
};

/** The connection that Prisma took for the transaction it is beginning. */
type Taken = { connection: pg.PoolClient | null };

const connections = new AsyncLocalStorage<Taken>();

/** Records the connection that a Prisma transaction runs on, because Prisma does not expose it. */
class Pool extends ConnectionPool {
  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Parameters<ConnectionPool['connect']>[0]): void;
  override connect(callback?: Parameters<ConnectionPool['connect']>[0]): Promise<pg.PoolClient> | void {
    return callback === undefined ? this.#take() : super.connect(callback);
  }

  async #take(): Promise<pg.PoolClient> {
    const connection = await super.connect();
    const taken = connections.getStore();
    if (taken !== undefined) taken.connection ??= connection;
    return connection;
  }
}

/**
 * How long a statement may run, in ms, before PostgreSQL cancels it. If PostgreSQL does not respond, the server gives
 * up 2 s later.
 */
export const statementTimeoutMs = 8_000;
const answerMs = 2_000;

/** How long a search statement may run, in ms, before PostgreSQL cancels it. */
export const searchTimeoutMs = 1_000;
/**
 * One connection for each concurrent search (search/search-turn.ts), and a spare for when a broken one is being
 * replaced.
 */
const maxSearchConnections = 3;

/**
 * Opens the pool, which connects lazily when the first statement runs. PostgreSQL cancels a statement after
 * `statementTimeoutMs`, and ends a transaction that is idle for 5 s, so that no request holds a connection or a lock
 * forever. Pass null for that timeout if the server connects through a transaction pooler, which keeps no settings per
 * client; the operator's settings then apply. A connection is dropped if PostgreSQL has not answered a statement 2 s
 * after its timeout. `onError` receives errors that belong to no particular statement, and errors of connections that
 * have stopped responding. Searches use `directUrl`, which bypasses any pooler, because their timeout is a
 * per-connection setting.
 */
export function connectDatabase(options: {
  url: string;
  /** The URL that bypasses the pooler; the same as `url` if there is no pooler. */
  directUrl?: string;
  maxConnections: number;
  statementTimeoutMs: number | null;
  onError: (error: Error) => void;
  isTraced?: boolean;
  /** Whether to write even though the database is read-only by default; see SessionOptions. */
  overridesReadOnly?: boolean;
}): Db {
  const { directUrl, statementTimeoutMs: statementMs, overridesReadOnly = false, ...rest } = options;
  const session = statementMs === null ? null : { statementMs, idleInTransactionMs, overridesReadOnly };
  const limitMs = (statementMs ?? statementTimeoutMs) + answerMs;
  const pool = new Pool({ ...rest, session, limitMs, types });
  const searchPool = new ConnectionPool({
    url: directUrl ?? rest.url,
    onError: rest.onError,
    isTraced: rest.isTraced ?? false,
    maxConnections: maxSearchConnections,
    session: { statementMs: searchTimeoutMs, idleInTransactionMs, overridesReadOnly },
    limitMs: searchTimeoutMs + answerMs,
    types,
  });
  // The format is minimal, because longer messages would quote the values of a statement.
  return { pool, searchPool, prisma: new PrismaClient({ adapter: new PrismaPg(pool), errorFormat: 'minimal' }) };
}

/** Waits for running statements, then closes every connection. */
export async function disconnectDatabase(db: Db): Promise<void> {
  await db.prisma.$disconnect();
  await Promise.all([db.pool.end(), db.searchPool.end()]);
}

/** A transaction on one connection. Use `query` for SQL and `prisma` for everything else. */
export type Transaction = Queryable & { prisma: Prisma.TransactionClient };

/**
 * Longer than any statement in a transaction may take, because PostgreSQL's own limits end statements that take too
 * long.
 */
const prismaTransaction = { maxWait: 15_000, timeout: 60 * 60_000 };

/**
 * Runs `work` in one transaction on one connection. Commits the transaction when `work` resolves and rolls it back when
 * `work` throws. Runs `work` again, from the beginning, if PostgreSQL has rolled the transaction back because of a
 * conflict with another transaction.
 *
 * Prisma begins the transaction, and the hand-written statements use the connection that Prisma acquired for it. If
 * they ran through Prisma's `$queryRaw`, they would lose their names, their row counts and pg's types. If you pass only
 * the pool, the transaction runs without Prisma at about half the cost. Use this in performance-critical code, and in
 * layers that have only the pool.
 *
 * Pass `actor` if `work` may do something to another user: the audit log then names the actor, and also the API key if
 * the actor is a program. Without `actor`, the audit log attributes the action to the server itself.
 */
export async function inTransaction<T>(
  db: Db,
  work: (transaction: Transaction) => Promise<T>,
  actor?: Caller,
): Promise<T>;
export async function inTransaction<T>(
  db: Pick<Db, 'pool'>,
  work: (transaction: Queryable) => Promise<T>,
  actor?: Caller,
): Promise<T>;
export async function inTransaction<T>(
  db: Pick<Db, 'pool'> & Partial<Db>,
  act: (transaction: Transaction) => Promise<T>,
  actor?: Caller,
): Promise<T> {
  const { prisma } = db;
  const span = spanNow();
  let transactionId: string | null = null;
  const work = async (transaction: Transaction) => {
    if (actor !== undefined) await nameActor(transaction, actor);
    const result = await act(transaction);
    if (span !== undefined) transactionId = await readTransactionId(transaction);
    return result;
  };
  for (let conflicts = 1; ; conflicts += 1) {
    try {
      // Without `prisma`, the second overload applies, so `work` only needs a Queryable.
      const result =
        prisma === undefined
          ? await inPlainTransaction(db, work as (transaction: Queryable) => Promise<T>)
          : await inPrismaTransaction(prisma, work);
      if (span !== undefined && transactionId !== null) {
        announceTraces(db.pool, transactionId, [{ actorId: null, parent: span.parent }]);
      }
      return result;
    } catch (error) {
      if (!isConflict(error) || conflicts >= maxConflicts) throw error;
    }
  }
}

/**
 * Lets each later statement of the transaction take up to 15 minutes, because deleting a chat with millions of messages
 * takes minutes.
 */
export async function allowMinutes(client: Queryable): Promise<void> {
  const raising: RaisingQuery = {
    text: `set local statement_timeout = '15min'`,
    raisedLimitMs: 15 * 60_000 + answerMs,
  };
  await client.query(raising);
}

/** Tells the triggers that write the audit log who the actor is, until the transaction ends. */
async function nameActor(client: Queryable, caller: Caller): Promise<void> {
  const { userId } = caller;
  await client.query({
    name: 'name_actor',
    text: `select set_config('parley.actor', $1, true), set_config('parley.api_key', $2, true)`,
    values: [userId === null ? '' : String(userId), caller.kind === 'KEY' ? String(caller.keyId) : ''],
  });
}

function inPrismaTransaction<T>(prisma: PrismaClient, work: (transaction: Transaction) => Promise<T>): Promise<T> {
  const taken: Taken = { connection: null };
  return connections.run(taken, () =>
    prisma.$transaction(async (transaction) => {
      const { connection } = taken;
      if (connection === null) throw new Error('Prisma began a transaction without a connection from our pool');
      return work({ query: connection.query.bind(connection), prisma: transaction });
    }, prismaTransaction),
  );
}

async function inPlainTransaction<T>({ pool }: Pick<Db, 'pool'>, work: (client: Queryable) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch((rollbackError: Error) => (broken = rollbackError));
    throw error;
  } finally {
    // A connection on which not even the rollback worked must not be reused.
    client.release(broken);
  }
}
