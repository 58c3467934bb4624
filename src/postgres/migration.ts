import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import type { Logger } from 'pino';
import { CannotStart } from '../errors.ts';
import { advisoryLocks } from './advisory-lock.ts';
import { allowMinutes, inTransaction, type Db, type Queryable } from './client.ts';
import { describeFailure, openConnection } from './inspection.ts';
import { prepareSession } from './session-setting.ts';

/** The first of the migrations that were squashed before the first release. */
const firstSquashed = '20261122000000_init';

/** `note` is what the migration says about other releases (see `readHeader`). */
type Migration = { name: string; sql: string; checksum: string; note: string | null };

/**
 * A row in Prisma's ledger that has not been rolled back. `note` tells a release that does not have this migration's
 * file whether it can run.
 */
type LedgerRow = { name: string; checksum: string; is_finished: boolean; note: string | null };

/**
 * Applies the migrations in `folder` (prisma/migrations) that the database lacks. Any number of nodes may call this at
 * the same time: one node migrates while the others wait. Each migration is committed together with its row in Prisma's
 * ledger, or not at all. A database that a newer release has migrated is accepted if this release can run with
 * everything that the newer one added. A database whose nodes still run an older release is accepted too, unless a
 * migration removes something that the older release needs. `url` must bypass any transaction pooler. Returns the name
 * of the newest migration in the folder, which identifies this release. Throws CannotStart if the database can't be
 * reached, if its ledger contradicts the folder, if a migration has to wait, or if a migration fails. Nothing is
 * changed if the ledger contradicts the folder, and a migration that fails is rolled back.
 */
export async function applyMigrations(url: string, folder: string, log: Logger): Promise<string> {
  const migrations = await readMigrations(folder);
  const client = await openConnection(url, { limitMs: null });
  try {
    await prepareSession(client, { statementMs: null, idleInTransactionMs: null, overridesReadOnly: true });
    // A session lock is released no matter how this function ends.
    await client.query('select pg_advisory_lock($1)', [advisoryLocks.migration]);
    await ensureLedger(client);
    const ledger = await readLedger(client);
    const newer = compare(migrations, ledger);
    if (newer.length > 0)
      log.warn({ migrations: newer }, 'a newer version has migrated the database; this one still runs');
    const applied = new Set(ledger.map(({ name }) => name));
    for (const migration of migrations.filter(({ name }) => !applied.has(name))) {
      await requireRelease(client, migration);
      await apply(client, migration);
      log.info(`applied migration ${migration.name}`);
    }
    return migrations.at(-1)?.name ?? '';
  } finally {
    await client.end();
  }
}

/**
 * Throws CannotStart if a newer release has removed something from the database that this release needs. Call this once
 * the node's lease is committed. A migration that removes something takes the lock before it reads the leases, and does
 * not release the lock until it commits. So either the migration finds the lease, or this function finds the migration.
 */
export async function confirmRelease(db: Pick<Db, 'pool'>, folder: string): Promise<void> {
  const migrations = await readMigrations(folder);
  const ledger = await inTransaction(db, async (client) => {
    await allowMinutes(client);
    await client.query('select pg_advisory_xact_lock_shared($1)', [advisoryLocks.migration]);
    return readLedger(client);
  });
  compare(migrations, ledger);
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  return Promise.all(
    names.toSorted().map(async (name) => {
      const sql = await readFile(join(folder, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex'), note: readHeader(name, sql) };
    }),
  );
}

/**
 * Reads the line of a migration that states which other releases can run with it. `-- parley: expand` means all
 * releases, because the migration only adds things. `-- parley: contract after NAME` means the releases that know the
 * migration NAME, because this migration removes what only older releases use. Returns null if there is no such line,
 * which means that no release without this migration can then run with it.
 */
function readHeader(name: string, sql: string): string | null {
  const note = /^-- parley:\s*(.*)$/m.exec(sql)?.[1] ?? null;
  if (note !== null && note !== 'expand' && neededBy(note) === null) {
    throw new Error(`The header of ${name} is neither "expand" nor "contract after" a migration.`);
  }
  return note;
}

/** Returns the migration that a release must know, according to the note of a migration that removes something. */
function neededBy(note: string | null): string | null {
  return /^contract after (\d{14}_\w+)$/.exec(note ?? '')?.[1] ?? null;
}

/** The same definition that Prisma uses. */
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

async function ensureLedger(client: pg.Client): Promise<void> {
  // Check first: `create table if not exists` needs the right to create tables even when the table exists.
  const { rowCount } = await client.query(`select where to_regclass('_prisma_migrations') is not null`);
  if (rowCount === 0) await client.query(createLedger);
}

async function readLedger(client: Queryable): Promise<LedgerRow[]> {
  const { rows } = await client.query<LedgerRow>(`
    select migration_name as name, checksum, finished_at is not null as is_finished, logs as note
    from _prisma_migrations
    where rolled_back_at is null
    order by started_at`);
  return rows;
}

/**
 * Returns the migrations of newer releases, all of which this release can run with. Throws CannotStart if it cannot run
 * with one of them, or if the ledger does not match the folder.
 */
function compare(migrations: Migration[], ledger: LedgerRow[]): string[] {
  if (ledger.some(({ name }) => name === firstSquashed)) {
    throw new CannotStart(
      'This database was made by a version from before the first release, whose migrations are no longer supported: start with an empty database.',
    );
  }
  const known = new Map(migrations.map((migration) => [migration.name, migration]));
  const newer: string[] = [];
  const problems = ledger.flatMap(({ name, checksum, is_finished: isFinished, note }) => {
    const migration = known.get(name);
    if (!isFinished) {
      return `${name} was started but never finished. Repair the database by hand, then set finished_at in its row of _prisma_migrations (or rolled_back_at, to apply it again).`;
    }
    if (migration === undefined) {
      const canRun = note === 'expand' || known.has(neededBy(note) ?? '');
      if (!canRun)
        return `${name} is not in this version, which cannot run with it. Start the newer version, or restore a backup.`;
      newer.push(name);
      return [];
    }
    if (migration.checksum !== checksum) return `${name} was changed after it was applied. Restore its file.`;
    return [];
  });
  if (problems.length > 0) {
    throw new CannotStart(`The database does not match prisma/migrations:\n  ${problems.join('\n  ')}`);
  }
  return newer;
}

/** Throws CannotStart as long as the leases show running nodes that could not work after the migration. */
async function requireRelease(client: pg.Client, { name, note }: Migration): Promise<void> {
  const after = neededBy(note);
  if (after === null) return;
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::int as count from leases
    where name like 'node:%' and until > clock_timestamp() and coalesce(release, '') collate "C" < $1`,
    [after],
  );
  const count = rows[0]?.count ?? 0;
  if (count === 0) return;
  throw new CannotStart(
    `The migration ${name} removes what ${count === 1 ? 'a running node of an older version needs' : `${count} running nodes of an older version need`}. Update all nodes to the version before this one first.`,
  );
}

async function apply(client: pg.Client, { name, sql, checksum, note }: Migration): Promise<void> {
  await client.query('begin');
  try {
    const row = [randomUUID(), checksum, name, note];
    await client.query(
      `insert into _prisma_migrations (id, checksum, migration_name, logs, started_at)
      values ($1, $2, $3, $4, clock_timestamp())`,
      row,
    );
    // The text is sent as one message, because splitting it at semicolons would cut functions apart.
    await client.query(sql);
    await client.query(
      'update _prisma_migrations set finished_at = clock_timestamp(), applied_steps_count = 1 where id = $1',
      row.slice(0, 1),
    );
    await client.query('commit');
  } catch (error) {
    // If the connection is gone, PostgreSQL rolls the transaction back itself.
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
