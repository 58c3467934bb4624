import type pg from 'pg';
import { expect } from 'vitest';
import { asSuperuser, createDatabase } from './database.ts';
import { atFileEnd } from './file-end.ts';
import { setForNewConnections } from './plans.ts';
import { startServer, type TestServer } from './server.ts';

/** A statement and the values of its parameters. */
export type Statement = [statement: string, ...values: string[]];

/** Starts a server for `deadlockWith`, with a separate database. Both last until the test file ends. */
export async function startPatientServer(): Promise<TestServer> {
  const database = await createDatabase();
  atFileEnd(database.drop);
  // The server's connections look for a deadlock only after this time, because creating a deadlock takes a while on a
  // busy machine.
  await setForNewConnections(database, { deadlock_timeout: '3s' });
  return startServer({ database });
}

/**
 * Makes a request deadlock with another transaction, which runs on a separate connection, as one from psql would. That
 * transaction runs `first`, waits until the request is blocked by it, and then runs `second`, which waits for the
 * request. PostgreSQL resolves the deadlock by rolling back the server's transaction. Returns the result of the
 * request.
 */
export async function deadlockWith<Result>(
  server: TestServer,
  { first, second }: Record<'first' | 'second', Statement>,
  request: () => Promise<Result>,
): Promise<Result> {
  const before = await countDeadlocks(server);
  // Only a superuser may change deadlock_timeout.
  const result = await asSuperuser(server.database, async (client) => {
    await client.query('begin');
    await lock(client, first);
    const requested = request();
    await expect.poll(() => countWaiting(server)).toBe(1);
    // Only the server's connection looks for a deadlock, so PostgreSQL rolls back the server's transaction.
    await client.query(`set local deadlock_timeout = '1min'`);
    await lock(client, second);
    await client.query('commit');
    return requested;
  });
  await expect.poll(() => countDeadlocks(server)).toBe(before + 1);
  return result;
}

/** Runs a statement that locks rows. */
export async function lock(client: pg.ClientBase, [statement, ...values]: Statement): Promise<void> {
  await client.query(statement, values);
}

/** Returns how many locks the server's connections are waiting for. */
export async function countWaiting({ sql }: TestServer): Promise<number> {
  const { rows } = await sql.query(
    `select from pg_locks l join pg_stat_activity a using (pid)
    where not l.granted and a.application_name = 'parley' and a.datname = current_database()`,
  );
  return rows.length;
}

async function countDeadlocks({ sql }: TestServer): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(
    'select deadlocks::int as count from pg_stat_database where datname = current_database()',
  );
  return rows[0]?.count ?? 0;
}
