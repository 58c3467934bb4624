import { PrismaPg } from '@prisma/adapter-pg';
import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import { PrismaClient, type Prisma } from './generated/prisma/client.ts';
import { ConnectionPool } from './pool.ts';
import { idleInTransactionMs } from './session-setting.ts';

/**
 * The way to the database: Prisma for the shape of the API, the pool for hot statements written by hand. Both share the
 * same connections.
 */
export type Db = { prisma: PrismaClient; pool: pg.Pool };

/** A connection out of the pool, inside a transaction or not: what a hand-written statement runs on. */
export type Queryable = Pick<pg.ClientBase, 'query'>;

/** int8 comes as bigint, so that ids are of one type in Prisma's rows and in ours. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    oid === pg.types.builtins.INT8 ? (BigInt as never) : pg.types.getTypeParser(oid, format),
};

/** The connection that Prisma took for the transaction that is just being begun. */
type Taken = { connection: pg.PoolClient | null };

const connections = new AsyncLocalStorage<Taken>();

/** Notes which connection a transaction of Prisma's runs on: Prisma itself does not say. */
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

/** What a statement may take, in ms, before PostgreSQL ends it; where that is not heard of, 2 s later we do. */
export const statementTimeoutMs = 8_000;
const answerMs = 2_000;

/**
 * Opens the pool (lazily: it connects with the first statement). PostgreSQL ends a statement after `statementTimeoutMs`,
 * and a transaction that waits for its next one after 5 s, so that no request holds a connection or a lock for ever; null
 * behind a transaction pooler, which keeps no settings for a client: there the operator's own hold. A connection on which
 * a statement has no answer 2 s after that is given up. `onError` is told of what concerns no statement in particular.
 */
export function connectDatabase(options: {
  url: string;
  maxConnections: number;
  statementTimeoutMs: number | null;
  onError: (error: Error) => void;
  /** Whether to write although the database's default is not to; see SessionOptions. */
  overridesReadOnly?: boolean;
}): Db {
  const { statementTimeoutMs: statementMs, overridesReadOnly = false, ...rest } = options;
  const session = statementMs === null ? null : { statementMs, idleInTransactionMs, overridesReadOnly };
  const limitMs = (statementMs ?? statementTimeoutMs) + answerMs;
  const pool = new Pool({ ...rest, session, limitMs, types });
  // Minimal: its longer messages quote the values that a statement was given.
  return { pool, prisma: new PrismaClient({ adapter: new PrismaPg(pool), errorFormat: 'minimal' }) };
}

/** Waits for what runs, then closes every connection. */
export async function disconnectDatabase(db: Db): Promise<void> {
  await db.prisma.$disconnect();
  await db.pool.end();
}

/** A transaction on one connection: SQL goes by `query`, everything else by Prisma. */
export type Transaction = Queryable & { prisma: Prisma.TransactionClient };

/** Longer than any statement in a transaction may take; PostgreSQL's own limits end what takes too long. */
const prismaTransaction = { maxWait: 15_000, timeout: 60 * 60_000 };

/**
 * Runs `work` in one transaction on one connection: committed when it resolves, rolled back when it throws.
 *
 * Prisma begins it, and the statements written by hand take the connection that Prisma got. The other way round, as
 * `$queryRaw` in Prisma's transaction, they would lose their names, row counts and pg's types. Given the pool alone the
 * transaction is without Prisma, at about half of the cost: for hot code, and for layers that have nothing else.
 */
export async function inTransaction<T>(db: Db, work: (transaction: Transaction) => Promise<T>): Promise<T>;
export async function inTransaction<T>(db: Pick<Db, 'pool'>, work: (transaction: Queryable) => Promise<T>): Promise<T>;
export async function inTransaction<T>(
  db: Pick<Db, 'pool'> & Partial<Db>,
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  const { prisma } = db;
  // Without `prisma` the second signature holds, and `work` asks for a Queryable only.
  if (prisma === undefined) return inPlainTransaction(db, work as (transaction: Queryable) => Promise<T>);
  const taken: Taken = { connection: null };
  return connections.run(taken, () =>
    prisma.$transaction(async (transaction) => {
      const { connection } = taken;
      if (connection === null) throw new Error('Prisma has begun a transaction without a connection of our pool');
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
    // A connection that could not even roll back must not serve anyone else.
    client.release(broken);
  }
}
