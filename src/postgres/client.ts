import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { PrismaClient } from './generated/prisma/client.ts';

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

/**
 * Opens the pool (lazily: it connects with the first statement).
 * A statement is ended by the server after `statementTimeoutMs`, so that no request holds a connection for ever; null
 * behind a transaction pooler, which takes no such setting: there the operator's own holds.
 */
export function connectDatabase(options: {
  url: string;
  maxConnections: number;
  statementTimeoutMs: number | null;
  onError: (error: Error) => void;
}): Db {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.maxConnections,
    statement_timeout: options.statementTimeoutMs ?? false,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    application_name: 'parley',
    types,
  });
  // A connection that breaks while idle; the pool has dropped it already and opens another when one is needed.
  pool.on('error', options.onError);
  // One that breaks while somebody uses it: their statement tells them. An error that nobody listens to ends the process.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return { pool, prisma: new PrismaClient({ adapter: new PrismaPg(pool) }) };
}

/** Waits for what runs, then closes every connection. */
export async function disconnectDatabase(db: Db): Promise<void> {
  await db.prisma.$disconnect();
  await db.pool.end();
}

/** Runs `work` in one transaction on one connection: committed when it resolves, rolled back when it throws. */
export async function inTransaction<T>(
  { pool }: Pick<Db, 'pool'>,
  work: (client: Queryable) => Promise<T>,
): Promise<T> {
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
    // A connection that could not even roll back must not serve anybody else.
    client.release(broken);
  }
}
