import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import type { Logger } from 'pino';
import { CannotStart } from '../errors.ts';
import { advisoryLocks } from './advisory-lock.ts';
import { describeFailure, openConnection } from './inspection.ts';
import { prepareSession } from './session-setting.ts';

/** The first of the migrations that were squashed before the first release. */
const firstSquashed = '20261122000000_init';

type Migration = { name: string; sql: string; checksum: string };

/** A row of Prisma's ledger that has not been rolled back. */
type LedgerRow = { name: string; checksum: string; is_finished: boolean };

/**
 * Applies the migrations in `folder` (prisma/migrations) that the database lacks. Any number of nodes may call this at
 * the same time: one migrates while the others wait. Each migration is committed together with its row in Prisma's
 * ledger, or not at all. `url` must bypass any transaction pooler. Throws CannotStart if the database can't be reached,
 * or if its ledger contradicts the folder, in which case nothing was changed; or if a migration fails, which is then
 * rolled back.
 */
export async function applyMigrations(url: string, folder: string, log: Logger): Promise<void> {
  const migrations = await readMigrations(folder);
  const client = await openConnection(url, { limitMs: null });
  try {
    await prepareSession(client, { statementMs: null, idleInTransactionMs: null, overridesReadOnly: true });
    // A session lock, so that it is released however this ends.
    await client.query('select pg_advisory_lock($1)', [advisoryLocks.migration]);
    const ledger = await readLedger(client);
    compare(migrations, ledger);
    const applied = new Set(ledger.map(({ name }) => name));
    for (const migration of migrations.filter(({ name }) => !applied.has(name))) {
      await apply(client, migration);
      log.info(`applied migration ${migration.name}`);
    }
  } finally {
    await client.end();
  }
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  return Promise.all(
    names.toSorted().map(async (name) => {
      const sql = await readFile(join(folder, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

/** The same definition as Prisma's. */
const createLedger = `
  create table _prisma_migrations (
    id varchar(36) primary key not null,
    checksum varchar(64) not null,
    finished_at timestamptz,
    migration_name varchar(255) not null,
    logs text,
    rolled_back_at timestamptz,
    started_at timestamptz not null default now(),
    applied_steps_count integer not null default 0
  )`;

async function readLedger(client: pg.Client): Promise<LedgerRow[]> {
  // Check first: `create table if not exists` needs the right to create tables even when the table exists.
  const { rowCount } = await client.query(`select where to_regclass('_prisma_migrations') is not null`);
  if (rowCount === 0) await client.query(createLedger);
  const { rows } = await client.query<LedgerRow>(`
    select migration_name as name, checksum, finished_at is not null as is_finished
    from _prisma_migrations
    where rolled_back_at is null
    order by started_at`);
  return rows;
}

function compare(migrations: Migration[], ledger: LedgerRow[]): void {
  if (ledger.some(({ name }) => name === firstSquashed)) {
    throw new CannotStart(
      'This database was made by a version from before the first release, whose migrations are no longer supported: start with an empty database.',
    );
  }
  const known = new Map(migrations.map((migration) => [migration.name, migration]));
  const problems = ledger.flatMap(({ name, checksum, is_finished: isFinished }) => {
    const migration = known.get(name);
    if (!isFinished) {
      return `${name} was started but never finished. Repair the database by hand, then set finished_at in its row of _prisma_migrations (or rolled_back_at, to apply it again).`;
    }
    if (migration === undefined)
      return `${name} is not in this version: a newer version has used the database. Start that one.`;
    if (migration.checksum !== checksum) return `${name} was changed after it was applied. Restore its file.`;
    return [];
  });
  if (problems.length > 0) {
    throw new CannotStart(`The database does not match prisma/migrations:\n  ${problems.join('\n  ')}`);
  }
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  await client.query('begin');
  try {
    const row = [randomUUID(), checksum, name];
    await client.query(
      `insert into _prisma_migrations (id, checksum, migration_name, started_at)
      values ($1, $2, $3, clock_timestamp())`,
      row,
    );
    // Sent as one message: splitting it at semicolons would cut functions apart.
    await client.query(sql);
    await client.query(
      'update _prisma_migrations set finished_at = clock_timestamp(), applied_steps_count = 1 where id = $1',
      row.slice(0, 1),
    );
    await client.query('commit');
  } catch (error) {
    // If the connection is gone, PostgreSQL ends the transaction.
    await client.query('rollback').catch(() => {});
    throw new CannotStart(`The migration ${name} failed and was rolled back: ${describe(error, sql)}.`, {
      cause: error,
    });
  }
}

function describe(error: unknown, sql: string): string {
  const { position } = error as { position?: string };
  const line = sql.slice(0, Number(position ?? 0)).split('\n').length;
  const message = describeFailure(error);
  return position === undefined ? message : `${message} (line ${line})`;
}
