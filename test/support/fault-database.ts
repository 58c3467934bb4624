import pg from 'pg';
import { onTestFinished } from 'vitest';
import type { TestDatabase } from './database.ts';
import { startServer, type TestServer, type TestServerOptions } from './server.ts';

/** Starts a server on that database, which runs until the test is over. */
export async function startOn(database: TestDatabase, options: TestServerOptions = {}): Promise<TestServer> {
  const server = await startServer({ database, ...options });
  onTestFinished(() => server.close());
  return server;
}

/** Returns the database at that URL, which stays open until the test is over, like a test's own database. */
export function databaseAt(url: string): TestDatabase {
  const sql = new pg.Pool({ connectionString: url, max: 1 });
  const drop = () => sql.end();
  onTestFinished(drop);
  return { url, sql, drop, [Symbol.asyncDispose]: drop };
}
