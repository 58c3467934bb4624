import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { pino } from 'pino';
import { expect, inject, onTestFinished, test } from 'vitest';
import { connectDatabase, disconnectDatabase } from '../../src/postgres/client.ts';
import { applyMigrations, confirmRelease } from '../../src/postgres/migration.ts';
import { advisoryLocks } from '../../src/postgres/advisory-lock.ts';
import { removal } from '../support/removal.ts';
import { asOwner, owner } from '../support/template.ts';

const log = pino({ level: 'silent' });

/**
 * Creates an empty database, to use as its owner (an ordinary role) or as the superuser. The database is dropped after
 * the test.
 */
async function createEmptyDatabase() {
  const name = `empty_${randomBytes(6).toString('hex')}`;
  await run(inject('postgresUrl'), `create database ${name} owner ${owner.name}`);
  const url = new URL(inject('postgresUrl'));
  url.pathname = name;
  onTestFinished(() => run(inject('postgresUrl'), `drop database ${name} with (force)`).then(() => {}));
  const ownUrl = asOwner(url.href);
  return {
    url: ownUrl,
    sql: (statement: string) => run(ownUrl, statement),
    superuserSql: (statement: string) => run(url.href, statement),
  };
}

async function run(connectionString: string, statement: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Creates a folder of migrations like prisma/migrations. */
async function writeMigrations(migrations: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-migrations-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'migration_lock.toml'), 'provider = "postgresql"\n');
  for (const [name, sql] of Object.entries(migrations)) {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, 'migration.sql'), sql);
  }
  return folder;
}

const one = { '20260101000000_one': 'create table one (id int);\n' };
const two = { '20260102000000_two': 'create table two (id int);\n' };
/** A migration that removes something reads this table, so the table must exist. */
const leaseTable = 'create table leases (name text, until timestamptz, release text)';
const ledger = 'select migration_name as name from _prisma_migrations order by started_at';

test('the ledger matches Prisma’s, column by column and value by value', async () => {
  const database = await createEmptyDatabase();
  await applyMigrations(database.url, await writeMigrations(one), log);
  const columns = await database.sql(`
    select column_name, data_type, character_maximum_length, is_nullable, column_default
    from information_schema.columns where table_name = '_prisma_migrations' order by ordinal_position`);
  expect(columns.rows.map((column) => Object.values(column))).toEqual([
    ['id', 'character varying', 36, 'NO', null],
    ['checksum', 'character varying', 64, 'NO', null],
    ['finished_at', 'timestamp with time zone', null, 'YES', null],
    ['migration_name', 'character varying', 255, 'NO', null],
    ['logs', 'text', null, 'YES', null],
    ['rolled_back_at', 'timestamp with time zone', null, 'YES', null],
    ['started_at', 'timestamp with time zone', null, 'NO', 'now()'],
    ['applied_steps_count', 'integer', null, 'NO', '0'],
  ]);
  const { rows } = await database.sql('select *, finished_at >= started_at as in_order from _prisma_migrations');
  expect(rows).toEqual([
    {
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      // The output of sha256sum for the file.
      checksum: '35899e0fbae58a7cb662d11284931ae9d9c920c0a4e2891238d1d02fdcd69bcf',
      finished_at: expect.any(Date),
      migration_name: '20260101000000_one',
      logs: null,
      rolled_back_at: null,
      started_at: expect.any(Date),
      applied_steps_count: 1,
      in_order: true,
    },
  ]);
});

test('several nodes that start on an empty database at the same time apply each migration once', async () => {
  const database = await createEmptyDatabase();
  await Promise.all([1, 2, 3].map(() => applyMigrations(database.url, 'prisma/migrations', log)));
  const { rows } = await database.sql(
    'select migration_name, count(*)::int as count from _prisma_migrations group by 1',
  );
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.filter(({ count }) => count !== 1)).toEqual([]);
});

test('only new migrations are applied, in the order of their names', async () => {
  const database = await createEmptyDatabase();
  await applyMigrations(database.url, await writeMigrations(one), log);
  const three = { '20260103000000_three': 'alter table two add three int;' };
  await applyMigrations(database.url, await writeMigrations({ ...three, ...two, ...one }), log);
  expect((await database.sql(ledger)).rows.map(({ name }) => name)).toEqual(Object.keys({ ...one, ...two, ...three }));
});

test('a migration that was changed after it was applied is refused, and the error names it', async () => {
  const database = await createEmptyDatabase();
  await applyMigrations(database.url, await writeMigrations({ ...one, ...two }), log);
  const changed = await writeMigrations({ ...one, '20260102000000_two': 'create table two (id bigint);\n' });
  await expect(applyMigrations(database.url, changed, log)).rejects.toThrow(
    /does not match[^]*\n {2}20260102000000_two was changed after it was applied/,
  );
});

test('a migration that began and never finished is refused and named, and nothing after it is applied', async () => {
  const database = await createEmptyDatabase();
  await applyMigrations(database.url, await writeMigrations(one), log);
  await database.sql('update _prisma_migrations set finished_at = null');
  const folder = await writeMigrations({ ...one, ...two });
  await expect(applyMigrations(database.url, folder, log)).rejects.toThrow(
    '20260101000000_one was started but never finished',
  );
  expect((await database.sql(ledger)).rowCount).toBe(1);

  // As the error message says, a migration that was undone by hand is applied again.
  await database.sql('drop table one; update _prisma_migrations set rolled_back_at = now()');
  await applyMigrations(database.url, folder, log);
  expect((await database.sql(ledger)).rows.map(({ name }) => name)).toEqual([
    '20260101000000_one',
    '20260101000000_one',
    '20260102000000_two',
  ]);
});

test('a database that a newer version has used is refused with the name of the unknown migration', async () => {
  const database = await createEmptyDatabase();
  await applyMigrations(database.url, await writeMigrations({ ...one, ...two }), log);
  await expect(applyMigrations(database.url, await writeMigrations(one), log)).rejects.toThrow(
    '20260102000000_two is not in this version',
  );
});

test('a version accepts what a newer one has added, or removed after all that this version uses', async () => {
  const database = await createEmptyDatabase();
  const newer = await writeMigrations({
    ...one,
    '20260103000000_three': '-- parley: expand\ncreate table three (id int);\n',
    '20260104000000_four': '-- parley: contract after 20260101000000_one\nselect 1;\n',
  });
  await database.sql(leaseTable);
  expect(await applyMigrations(database.url, newer, log)).toBe('20260104000000_four');
  expect(await applyMigrations(database.url, await writeMigrations(one), log)).toBe('20260101000000_one');
});

test('a version refuses a database from which a newer one has removed what this version uses', async () => {
  const database = await createEmptyDatabase();
  await database.sql(leaseTable);
  const newer = { ...one, ...two, '20260104000000_four': '-- parley: contract after 20260102000000_two\nselect 1;\n' };
  await applyMigrations(database.url, await writeMigrations({ ...one, ...two }), log);
  await applyMigrations(database.url, await writeMigrations(newer), log);
  await expect(applyMigrations(database.url, await writeMigrations(one), log)).rejects.toThrow(
    '20260104000000_four is not in this version, which cannot run with it. Start the newer version',
  );
});

test('a migration that removes something waits until no node runs a version that uses it', async () => {
  const database = await createEmptyDatabase();
  await database.sql(leaseTable);
  const folder = await writeMigrations({
    ...one,
    '20260104000000_four': '-- parley: contract after 20260101000000_one\nselect 1;\n',
  });
  await database.sql(`insert into leases values ('node:a', clock_timestamp() + interval '1 minute', '20251231000000_zero'),
    ('node:b', clock_timestamp() + interval '1 minute', null),
    ('node:c', clock_timestamp() + interval '1 minute', '20260101000000_one')`);
  await expect(applyMigrations(database.url, folder, log)).rejects.toThrow(
    'The migration 20260104000000_four removes what 2 running nodes of an older version need.',
  );
  expect((await database.sql(ledger)).rows).toEqual([{ name: '20260101000000_one' }]);
  await database.sql(`delete from leases where name = 'node:a'`);
  await database.sql(`update leases set until = clock_timestamp() where name = 'node:b'`);
  await applyMigrations(database.url, folder, log);
});

test('a node that starts while a newer version removes what it uses notices it, although it came too late to be counted', async () => {
  const database = await createEmptyDatabase();
  const folder = await writeMigrations(one);
  await applyMigrations(database.url, folder, log);
  const db = connectDatabase({ url: database.url, maxConnections: 1, statementTimeoutMs: 10_000, onError: () => {} });
  onTestFinished(() => disconnectDatabase(db));
  await confirmRelease(db, folder);
  const newer = new pg.Client({ connectionString: database.url });
  await newer.connect();
  onTestFinished(() => newer.end());
  // By now, the newer release has counted the nodes.
  await newer.query('select pg_advisory_lock($1)', [advisoryLocks.migration]);
  const confirmed = confirmRelease(db, folder).catch((error: unknown) => error);
  const isWaiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  await expect.poll(async () => (await database.sql(isWaiting)).rowCount).toBe(1);
  await newer.query(removal);
  await newer.query('select pg_advisory_unlock($1)', [advisoryLocks.migration]);
  expect(String(await confirmed)).toContain('20990102000000_four is not in this version, which cannot run with it');
});

test('each migration since the first release says what other versions can run with it', async () => {
  const names = (await readdir('prisma/migrations')).filter(
    (name) => name >= '20261129' && name !== 'migration_lock.toml',
  );
  for (const name of names) {
    const sql = await readFile(join('prisma/migrations', name, 'migration.sql'), 'utf8');
    expect(sql, name).toMatch(/^-- parley: (expand|contract after \d{14}_\w+)$/m);
  }
});

test('a database from before the migrations were squashed is refused in one sentence', async () => {
  const database = await createEmptyDatabase();
  await applyMigrations(
    database.url,
    await writeMigrations({ '20261122000000_init': 'create table one (id int);' }),
    log,
  );
  await expect(applyMigrations(database.url, 'prisma/migrations', log)).rejects.toThrow(
    /^This database was made by a version from before the first release, [^.]+\.$/,
  );
  expect((await database.sql(ledger)).rowCount).toBe(1);
});

test('a migration that fails leaves nothing behind, and the error names it and the line', async () => {
  const database = await createEmptyDatabase();
  const bad = await writeMigrations({
    ...one,
    '20260102000000_two': 'create table two (id int);\n\nalter table three;\n',
  });
  await expect(applyMigrations(database.url, bad, log)).rejects.toThrow(
    /20260102000000_two failed and was rolled back: syntax error at or near ";" \(line 3\)/,
  );
  expect((await database.sql(ledger)).rows).toEqual([{ name: '20260101000000_one' }]);
  expect((await database.sql(`select from pg_class where relname = 'two'`)).rowCount).toBe(0);
  await applyMigrations(database.url, await writeMigrations({ ...one, ...two }), log);
});

test('the role that migrates needs no right but to own the database', async () => {
  const database = await createEmptyDatabase();
  await applyMigrations(database.url, 'prisma/migrations', log);
  const { rows } = await database.sql(
    `select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls
    from pg_roles where rolname = current_user`,
  );
  const rights = ['rolsuper', 'rolcreatedb', 'rolcreaterole', 'rolreplication', 'rolbypassrls'];
  expect(rows).toEqual([expect.objectContaining(Object.fromEntries(rights.map((right) => [right, false])))]);
});

test('a migration that needs the rights of a superuser is refused', async () => {
  const database = await createEmptyDatabase();
  const folder = await writeMigrations({ '20260101000000_one': `set session_replication_role = replica;` });
  await expect(applyMigrations(database.url, folder, log)).rejects.toThrow('permission denied to set parameter');
});

test('a server whose role may create nothing can start when there is nothing to apply', async () => {
  const database = await createEmptyDatabase();
  const folder = await writeMigrations(one);
  await applyMigrations(database.url, folder, log);
  const role = `reader_${randomBytes(6).toString('hex')}`;
  await database.superuserSql(
    `create role ${role} login password 'sesame'; grant select on _prisma_migrations to ${role}`,
  );
  onTestFinished(() => run(inject('postgresUrl'), `drop role ${role}`).then(() => {}));
  onTestFinished(() => database.superuserSql(`drop owned by ${role}`).then(() => {}));
  const url = new URL(database.url);
  url.username = role;
  url.password = 'sesame';
  await applyMigrations(url.href, folder, log);
  await expect(applyMigrations(url.href, await writeMigrations({ ...one, ...two }), log)).rejects.toThrow(
    '20260102000000_two failed and was rolled back: permission denied',
  );
});
