import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

/** A separate database. `sql` is a connection to it in addition to the server's, as psql would open one. */
export type TestDatabase = AsyncDisposable & { url: string; sql: pg.Pool; drop: () => Promise<void> };

/** Clones the migrated template. The caller drops it, or uses `await using`. */
export async function createDatabase(): Promise<TestDatabase> {
  const postgresUrl = inject('postgresUrl');
  const name = `parley_${randomBytes(6).toString('hex')}`;
  await runMaintenance(postgresUrl, `create database ${name} template parley_template strategy file_copy`);
  const url = new URL(postgresUrl);
  url.pathname = name;
  const sql = new pg.Pool({ connectionString: url.href, max: 4 });
  // A test may end all of the server's connections, and with them the idle ones of this pool.
  sql.on('error', () => {});
  const drop = async () => {
    await sql.end();
    await runMaintenance(postgresUrl, `drop database ${name} with (force)`);
  };
  return { url: url.href, sql, drop, [Symbol.asyncDispose]: drop };
}

/** This worker's pool, kept open because opening a connection costs PostgreSQL more than cloning a small database. */
let maintenance: pg.Pool | undefined;

async function runMaintenance(connectionString: string, statement: string): Promise<void> {
  maintenance ??= new pg.Pool({ connectionString, max: 2, allowExitOnIdle: true }).on('error', () => {});
  await maintenance.query(statement);
}
