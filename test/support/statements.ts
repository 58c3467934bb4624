import pg from 'pg';
import type { TestServer } from './server.ts';

/**
 * Runs `work` and returns the SQL statements that the server sent to its database for it. Leaves out background work:
 * following the log, and checking at most twice a second whether a session is still valid. Run one at a time:
 * statements of other requests meanwhile count too.
 */
export async function recordStatements(server: TestServer, work: () => Promise<unknown>): Promise<string[]> {
  const recorded: string[] = [];
  const recorder = { url: server.database.url, statements: recorded };
  recorders.add(recorder);
  try {
    await work();
  } finally {
    recorders.delete(recorder);
  }
  return recorded;
}

const recorders = new Set<{ url: string; statements: string[] }>();
const background = /\/src\/(log\/|live\/(?!shared-subscription)|account\/live-session)/;

type Connection = { application_name?: string; database?: string };
type Query = (...args: unknown[]) => unknown;

function record({ application_name, database }: Connection, statement: unknown): void {
  if (application_name !== 'parley') return;
  for (const { url, statements } of recorders) {
    if (new URL(url).pathname !== `/${database}` || background.test(captureStack())) continue;
    statements.push(typeof statement === 'string' ? statement : String(Reflect.get(Object(statement), 'text')));
  }
}

function captureStack(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 100;
  const { stack } = new Error('who asks');
  Error.stackTraceLimit = stackTraceLimit;
  return stack ?? '';
}

// A pool passes its statement to a client later, when the stack no longer shows the caller. So such a statement is
// recorded at the pool. At the client, only statements that did not come from a pool (those of a transaction) are
// recorded, recognized by the callback.
const pool = pg.Pool.prototype as unknown as { query: Query };
const client = pg.Client.prototype as unknown as { query: Query };
const original = { pool: pool.query, client: client.query };

pool.query = function query(this: pg.Pool, ...args) {
  const { connectionString, application_name } = this.options;
  if (connectionString !== undefined) {
    record({ application_name, database: new URL(connectionString).pathname.slice(1) } as Connection, args[0]);
  }
  return Reflect.apply(original.pool, this, args);
};

client.query = function query(this: { connectionParameters: Connection }, ...args) {
  if (typeof args.at(-1) !== 'function') record(this.connectionParameters, args[0]);
  return Reflect.apply(original.client, this, args);
};
