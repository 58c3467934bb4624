import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { asOwner, cloneStatement } from './template.ts';

/** A separate database. Its pool `sql` is separate from the server's connections, as psql is. */
export type TestDatabase = AsyncDisposable & { url: string; sql: pg.Pool; drop: () => Promise<void> };

/** Clones the migrated template. The caller must drop the database, or declare it with `await using`. */
export async function createDatabase(): Promise<TestDatabase> {
  const postgresUrl = inject('postgresUrl');
  const name = `parley_${randomBytes(6).toString('hex')}`;
  await runMaintenance(postgresUrl, cloneStatement(name));
  const url = new URL(postgresUrl);
  url.pathname = name;
  return openDatabase(url.href, () => runMaintenance(postgresUrl, `drop database ${name} with (force)`));
}

/** Opens the database at that URL as the role that owns the template. `remove` drops it. */
export function openDatabase(anyRolesUrl: string, remove: () => Promise<void>): TestDatabase {
  const url = asOwner(anyRolesUrl);
  const sql = new pg.Pool({ connectionString: url, max: 4 });
  // A test may end all connections to the PostgreSQL server, including the idle connections of this pool.
  sql.on('error', () => {});
  const drop = async () => {
    await sql.end();
    await remove();
  };
  return { url, sql, drop, [Symbol.asyncDispose]: drop };
}

/** Runs `work` on a connection to the database as a superuser, for operations that its owner may not perform. */
export async function asSuperuser<Result>(
  { url }: TestDatabase,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const { pathname } = new URL(url);
  const client = new pg.Client({ connectionString: Object.assign(new URL(inject('postgresUrl')), { pathname }).href });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/**
 * This worker's pool. The pool stays open, because opening a connection costs PostgreSQL more than cloning a small
 * database.
 */
let maintenance: pg.Pool | undefined;

async function runMaintenance(connectionString: string, statement: string): Promise<void> {
  maintenance ??= new pg.Pool({ connectionString, max: 2, allowExitOnIdle: true }).on('error', () => {});
  await maintenance.query(statement);
}
