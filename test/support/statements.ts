import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import pg from 'pg';
import { Housekeeping } from '../../src/core/housekeeping.ts';
import { Publisher } from '../../src/live/broadcast/publisher.ts';
import { LeasedLoop } from '../../src/postgres/leased-loop.ts';
import { NodeLease } from '../../src/postgres/node-lease.ts';
import { WebhookKeeper } from '../../src/webhook/webhook-keeper.ts';
import type { TestServer } from './server.ts';

/**
 * Runs `work`, and returns the SQL statements that the server sent to its database for that work. They include
 * statements that the server sent after its answer, for example when an error ends the answer early. Leaves out
 * background work: following the log, checking at most twice a second whether a session is still valid, housekeeping,
 * renewing leases, looking for webhooks that are due, and preparing new connections. Run only one recording at a time,
 * because statements of concurrent requests count too.
 */
export async function recordStatements(server: TestServer, work: () => Promise<unknown>): Promise<string[]> {
  const recorded: string[] = [];
  const recorder: Recorder = { url: server.database.url, statements: recorded, pending: new Set() };
  recorders.add(recorder);
  try {
    await work();
    await settle(recorder.pending);
  } finally {
    recorders.delete(recorder);
  }
  return recorded;
}

type Recorder = { url: string; statements: string[]; pending: Set<Promise<unknown>> };

const recorders = new Set<Recorder>();

/** Waits until the pending statements, and those that follow from their answers, have been answered. */
async function settle(pending: Set<Promise<unknown>>): Promise<void> {
  do {
    await Promise.allSettled(pending);
    // Statements that follow from an answer start one or two turns of the event loop later.
    await nextTurn();
    await nextTurn();
  } while (pending.size > 0);
}
const backgroundFile = /\/src\/(log\/|live\/(?!shared-|render-turn)|account\/live-session|postgres\/session-setting)/;

type Connection = { application_name?: string; database?: string };
type Query = (...args: unknown[]) => unknown;

/** Returns the recorders that recorded the statement. */
function record({ application_name, database }: Connection, statement: unknown): Recorder[] {
  if (application_name !== 'parley') return [];
  const recording = [...recorders].filter(({ url }) => new URL(url).pathname === `/${database}` && !isBackground());
  const text = typeof statement === 'string' ? statement : String(Reflect.get(Object(statement), 'text'));
  for (const { statements } of recording) statements.push(text);
  return recording;
}

function follow(recording: readonly Recorder[], answer: unknown): void {
  if (!(answer instanceof Promise)) return;
  for (const { pending } of recording) {
    const forget = () => void pending.delete(answer);
    answer.then(forget, forget);
    pending.add(answer);
  }
}

/** This is set in everything that the server's own timers start, directly or indirectly. */
const timers = new AsyncLocalStorage<true>();
for (const { prototype } of [Housekeeping, LeasedLoop, NodeLease, Publisher, WebhookKeeper] as {
  prototype: { open: () => unknown };
}[]) {
  const open = prototype.open;
  prototype.open = function openInBackground() {
    return timers.run(true, () => Reflect.apply(open, this, []));
  };
}

// A mutation that leaves work for housekeeping starts that work early, in the mutation's own context. This code marks
// it as background work.
const housekeeping = Housekeeping.prototype as unknown as { hurry: () => unknown };
const { hurry } = housekeeping;
housekeeping.hurry = function hurryInBackground() {
  return timers.run(true, () => Reflect.apply(hurry, this, []));
};

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

// A pool passes a statement to a client later, when the stack no longer shows who sent the statement. A pool therefore
// records its own statements. A client records only statements that did not come from a pool (those of a transaction),
// which it recognizes because they have no callback.
const pool = pg.Pool.prototype as unknown as { query: Query };
const client = pg.Client.prototype as unknown as { query: Query };
const original = { pool: pool.query, client: client.query };

pool.query = function query(this: pg.Pool, ...args) {
  const { connectionString, application_name } = this.options;
  const database = connectionString === undefined ? null : new URL(connectionString).pathname.slice(1);
  const recording = database === null ? [] : record({ application_name, database } as Connection, args[0]);
  const answer = Reflect.apply(original.pool, this, args);
  follow(recording, answer);
  return answer;
};

client.query = function query(this: { connectionParameters: Connection }, ...args) {
  if (typeof args.at(-1) !== 'function') record(this.connectionParameters, args[0]);
  return Reflect.apply(original.client, this, args);
};
