import pg from 'pg';
import { onTestFinished } from 'vitest';
import type { TestDatabase } from './database.ts';
import { startServer, type TestServer, type TestServerOptions } from './server.ts';

/** Starts a server on that database, and stops the server when the test is over. */
export async function startOn(database: TestDatabase, options: TestServerOptions = {}): Promise<TestServer> {
  const server = await startServer({ database, ...options });
  onTestFinished(() => server.close());
  return server;
}

/**
 * Opens the database at that URL until the test is over, with the interface of a database that the test created itself.
 */
export function databaseAt(url: string): TestDatabase {
  const sql = new pg.Pool({ connectionString: url, max: 1 });
  const drop = () => sql.end();
  onTestFinished(drop);
  return { url, sql, drop, [Symbol.asyncDispose]: drop };
}
