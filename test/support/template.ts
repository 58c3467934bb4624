import pg from 'pg';
import { pino } from 'pino';
import { applyMigrations } from '../../src/postgres/migration.ts';

/**
 * The role that owns the tests' databases, migrates them and runs the servers, and the password of that role. As in a
 * managed database, the role has no rights beyond owning these databases. If a migration needs more rights, it fails,
 * and so does every test.
 */
export const owner = { name: 'parley_owner', password: 'parley' };

/** Returns the database's URL for the owner. `url` may be the URL for any role on that server. */
export function asOwner(url: string): string {
  const result = new URL(url);
  result.username = owner.name;
  result.password = owner.password;
  return result.href;
}

/** The migrated database from which the databases of the test files are cloned. */
const template = 'parley_template';

/**
 * Creates a migrated database from which other databases can be cloned, and the role that owns it and its clones.
 * `urlOf` returns the superuser's URL for a database on that PostgreSQL server.
 */
export async function createTemplate(urlOf: (name: string) => string): Promise<void> {
  const client = new pg.Client({ connectionString: urlOf('postgres') });
  await client.connect();
  try {
    await client.query(
      `create role ${owner.name} login nosuperuser nocreatedb nocreaterole password '${owner.password}'`,
    );
    await client.query(`create database ${template} owner ${owner.name}`);
    await applyMigrations(asOwner(urlOf(template)), 'prisma/migrations', pino({ level: 'silent' }));
    // Forbid connections to the template, so that it can always be cloned.
    await client.query(`alter database ${template} with is_template true allow_connections false`);
  } finally {
    await client.end();
  }
}

/**
 * Returns the statement that clones the template for its owner. The statement copies the files, which costs less than
 * writing their contents to the write-ahead log, PostgreSQL's default.
 */
export function cloneStatement(name: string): string {
  return `create database ${name} template ${template} strategy file_copy owner ${owner.name}`;
}
