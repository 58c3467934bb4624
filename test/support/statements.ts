import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import { Housekeeping } from '../../src/core/housekeeping.ts';
import { Publisher } from '../../src/live/broadcast/publisher.ts';
import { LeasedLoop } from '../../src/postgres/leased-loop.ts';
import { NodeLease } from '../../src/postgres/node-lease.ts';
import { WebhookKeeper } from '../../src/webhook/webhook-keeper.ts';
import type { TestServer } from './server.ts';

/**
 * Runs `work` and returns the SQL statements that the server sent to its database for it. Leaves out background work:
 * following the log, checking at most twice a second whether a session is still valid, housekeeping, renewing
 * leases, looking for webhooks that are due, and preparing new connections. Run one at a time, because statements of
 * concurrent requests count too.
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
const backgroundFile = /\/src\/(log\/|live\/(?!shared-|render-turn)|account\/live-session|postgres\/session-setting)/;

type Connection = { application_name?: string; database?: string };
type Query = (...args: unknown[]) => unknown;

function record({ application_name, database }: Connection, statement: unknown): void {
  if (application_name !== 'parley') return;
  for (const { url, statements } of recorders) {
    if (new URL(url).pathname !== `/${database}` || isBackground()) continue;
    statements.push(typeof statement === 'string' ? statement : String(Reflect.get(Object(statement), 'text')));
  }
}

/** Set in everything that the server's own timers start, directly or indirectly. */
const timers = new AsyncLocalStorage<true>();
for (const { prototype } of [Housekeeping, LeasedLoop, NodeLease, Publisher, WebhookKeeper] as {
  prototype: { open: () => unknown };
}[]) {
  const open = prototype.open;
  prototype.open = function openInBackground() {
    return timers.run(true, () => Reflect.apply(open, this, []));
  };
}

function isBackground(): boolean {
  return timers.getStore() === true || backgroundFile.test(captureStack());
}

function captureStack(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 100;
  const { stack } = new Error('who asks');
  Error.stackTraceLimit = stackTraceLimit;
  return stack ?? '';
}

// A pool passes a statement to a client later, when the stack no longer shows the caller. So the pool records its
// statements, and the client only those that did not come from a pool (statements of a transaction), which it
// recognizes by the callback.
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
