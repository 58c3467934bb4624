import pg from 'pg';
import { readEpoch } from '../../src/log/event-log.ts';
import { asSuperuser, createDatabase, type TestDatabase } from './database.ts';
import { startServer, type TestServer } from './server.ts';
import { atFileEnd } from './file-end.ts';
import { awaitIndex } from './search.ts';

/** What an operation cost the database, including triggers and foreign key checks. */
export type Cost = {
  /** The number of statements that ran, including those within triggers. */
  statements: number;
  /** The number of rows that were read, including rows that were not used. */
  rows: number;
  /** The number of blocks that were read. */
  blocks: number;
};

type Plan = Record<string, unknown> & { Plans?: Plan[] };

/** Settings that turn off the periodic reports of a node, which would count toward any measurement. */
export const quiet = {
  attendanceTimes: { flush: 2 ** 30, beat: 2 ** 30, expiry: 2 ** 31 },
};

/**
 * Starts a server whose database logs the plan of every statement that it runs, with PostgreSQL's auto_explain. Its
 * database is dropped after the file's last test. `prepare` may write many rows before the server starts, so that the
 * server does not have to process their events or index their messages for search.
 */
export async function startExplainedServer(
  prepare: (database: TestDatabase) => Promise<void> = async () => {},
): Promise<TestServer> {
  const database = await createDatabase();
  await setForNewConnections(database, {
    session_preload_libraries: 'auto_explain',
    'auto_explain.log_min_duration': '0',
    'auto_explain.log_analyze': 'on',
    'auto_explain.log_buffers': 'on',
    'auto_explain.log_timing': 'off',
    'auto_explain.log_nested_statements': 'on',
    'auto_explain.log_format': 'json',
    client_min_messages: 'log',
  });
  atFileEnd(database.drop);
  await prepare(database);
  await asSuperuser(database, async (client) => {
    await client.query('delete from search_backlog; delete from search_chat_backlog');
    await client.query(
      `insert into log_consumers (name, epoch, position)
      select 'search', $1, max(id) from events having max(id) is not null`,
      [await readEpoch(client)],
    );
  });
  return startServer({ database, overrides: quiet });
}

/**
 * Changes the settings of new connections to the database, e.g. those of another node. Only superusers may change some
 * of these settings.
 */
export async function setForNewConnections(database: TestDatabase, settings: Record<string, string>): Promise<void> {
  const name = new URL(database.url).pathname.slice(1);
  const statements = Object.entries(settings).map(([key, value]) => `alter database ${name} set ${key} = '${value}'`);
  await asSuperuser(database, (client) => client.query(statements.join(';')));
}

/**
 * Writes many rows as a superuser, without logging a plan for each row's checks, because that logging takes most of the
 * time.
 */
export async function fill(database: TestDatabase, statement: string, values: unknown[] = []): Promise<void> {
  await asSuperuser(database, async (client) => {
    await client.query('set auto_explain.log_min_duration = -1');
    await client.query(statement, values);
  });
}

/**
 * Measures what `work` costs the server's database, after the search index contains everything that was written before.
 * Run only one measurement at a time, because concurrent work counts too.
 */
export async function costOf(server: TestServer, work: () => Promise<unknown>): Promise<Cost> {
  await awaitIndex(server);
  const cost: Cost = { statements: 0, rows: 0, blocks: 0 };
  const recorder = { database: new URL(server.database.url).pathname.slice(1), cost };
  recorders.add(recorder);
  try {
    await work();
  } finally {
    recorders.delete(recorder);
  }
  if (cost.statements === 0) throw new Error('no plan was logged');
  return cost;
}

const recorders = new Set<{ database: string; cost: Cost }>();

function take(database: string | undefined, notice: string | undefined): void {
  const start = notice?.indexOf('plan:\n') ?? -1;
  if (notice === undefined || start < 0) return;
  for (const recorder of recorders) {
    if (recorder.database !== database) continue;
    const { Plan: plan } = JSON.parse(notice.slice(start + 'plan:\n'.length)) as { Plan: Plan };
    recorder.cost.statements += 1;
    recorder.cost.rows += rowsIn(plan);
    recorder.cost.blocks += numberIn(plan, 'Shared Hit Blocks') + numberIn(plan, 'Shared Read Blocks');
  }
}

/**
 * Returns how many rows a plan reads. Counts only plan nodes that read a table or an index, because the other nodes
 * only pass rows on.
 */
function rowsIn(plan: Plan): number {
  const isScan = String(plan['Node Type']).endsWith('Scan');
  const each =
    numberIn(plan, 'Actual Rows') +
    numberIn(plan, 'Rows Removed by Filter') +
    numberIn(plan, 'Rows Removed by Index Recheck');
  const own = isScan ? each * numberIn(plan, 'Actual Loops') : 0;
  return (plan.Plans ?? []).reduce((sum, child) => sum + rowsIn(child), own);
}

function numberIn(plan: Plan, field: string): number {
  return Number(plan[field] ?? 0);
}

// The server does not expose its connections, so this code listens to every new connection of `pg`.
type Client = pg.Client & { connectionParameters: { application_name?: string; database?: string } };
const client = pg.Client.prototype as unknown as { connect: (this: Client, ...args: unknown[]) => unknown };
const { connect } = client;
client.connect = function connectAndListen(this: Client, ...args) {
  const { application_name, database } = this.connectionParameters;
  if (application_name === 'parley') this.on('notice', ({ message }) => take(database, message));
  return Reflect.apply(connect, this, args);
};
