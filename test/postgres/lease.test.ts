import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { connectDatabase, disconnectDatabase, inTransaction, type Db } from '../../src/postgres/client.ts';
import { LeaseLost, Leases, pruneLeases, type Lease } from '../../src/postgres/lease.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { atFileEnd } from '../support/file-end.ts';
import { openProxy } from '../support/proxy.ts';

const name = 'consumer:mail';
const times = { expiry: 1_000, renewal: 100 };

let database: TestDatabase;
let db: Db;
let ours: Leases;
let others: Leases;

beforeAll(async () => {
  database = await createDatabase();
  db = connect(database.url);
  await database.sql.query('create table writes (token bigint)');
});
beforeEach(async () => {
  await database.sql.query('delete from leases; delete from writes');
  ours = new Leases(db);
  others = new Leases(db);
});
atFileEnd(async () => {
  await disconnectDatabase(db);
  await database.drop();
});

function connect(url: string): Db {
  return connectDatabase({ url, maxConnections: 4, statementTimeoutMs: 10_000, onError: () => {} });
}

/** Takes a lease, and releases it at the end of the test. */
async function take(leases: Leases, onWanted?: () => unknown): Promise<Lease> {
  const lease = await leases.take({ name, times, ...(onWanted && { onWanted }) });
  if (lease === null) throw new Error('the lease is held');
  onTestFinished(() => lease.release());
  return lease;
}

const write = (lease: Lease, through: Db = db) =>
  inTransaction(through, async (client) => {
    await lease.fence(client);
    await client.query('insert into writes values ($1)', [lease.token]);
  });
const countWrites = async () => (await database.sql.query('select from writes')).rowCount;

test('a lease has one holder at a time, and gets the next holder when it is released', async () => {
  const lease = await take(ours);
  expect(await others.take({ name, times })).toBeNull();
  expect(await ours.take({ name, times })).toBeNull();
  await lease.release();
  const next = await take(others);
  expect(next.token).toBeGreaterThan(lease.token);
});

test('of many concurrent attempts to take a lease, one succeeds', async () => {
  const taken = await Promise.all(Array.from({ length: 20 }, () => new Leases(db).take({ name, times })));
  const held = taken.filter((lease) => lease !== null);
  expect(held).toHaveLength(1);
  await held[0]?.release();
});

test('leases with different names are independent', async () => {
  await take(ours);
  const other = await others.take({ name: 'consumer:push', times });
  expect(other).not.toBeNull();
  await other?.release();
});

test('a holder keeps its lease for as long as it runs', async () => {
  const lease = await take(ours);
  const since = performance.now();
  while (performance.now() - since < 2.5 * times.expiry) {
    expect(await others.take({ name, times })).toBeNull();
    await delay(50);
  }
  expect(lease.signal.aborted).toBe(false);
  await write(lease);
  expect(await countWrites()).toBe(1);
});

test('a holder that is cut off loses its lease to another when the lease expires, and can no longer write', async () => {
  const proxy = await openProxy(database.url);
  const far = connect(proxy.through(database.url));
  onTestFinished(() => disconnectDatabase(far));
  const lease = await take(new Leases(far));
  await write(lease, far);
  await proxy.close();
  const cutAt = performance.now();
  const next = await others.wait({ name, times }, { patienceMs: 10_000, signal: new AbortController().signal });
  expect(performance.now() - cutAt).toBeLessThan(times.expiry + 1_000);
  await expect.poll(() => lease.signal.aborted).toBe(true);
  expect(lease.signal.reason).toBeInstanceOf(LeaseLost);
  // The former holder has returned, and still tries to write.
  await expect(write(lease)).rejects.toBeInstanceOf(LeaseLost);
  expect(next?.token).toBeGreaterThan(lease.token);
  expect(await countWrites()).toBe(1);
  await lease.release();
  expect(await ours.take({ name, times })).toBeNull();
  await next?.release();
});

test('a holder that was paused past its expiry cannot write once another has taken over', async () => {
  const lease = await take(ours);
  await database.sql.query(`update leases set until = clock_timestamp() - interval '1 ms' where name = $1`, [name]);
  const next = await take(others);
  await expect(write(lease)).rejects.toBeInstanceOf(LeaseLost);
  expect(lease.signal.aborted).toBe(true);
  await write(next);
  const { rows } = await database.sql.query('select token::text from writes');
  expect(rows).toEqual([{ token: String(next.token) }]);
});

test('while a fenced write is under way, no one else takes the lease, however long it takes', async () => {
  const lease = await take(ours);
  const client = await db.pool.connect();
  await client.query('begin');
  await lease.fence(client);
  await database.sql.query("set lock_timeout = '100ms'");
  await delay(2 * times.expiry);
  const taking = others.take({ name, times });
  await client.query('insert into writes values ($1)', [lease.token]);
  await client.query('commit');
  client.release();
  const next = await taking;
  const { rows } = await database.sql.query('select token from writes');
  expect(rows).toHaveLength(1);
  await next?.release();
});

test('a waiter asks the holder to release the lease; a holder on this node learns of it immediately, one on another node with its next renewal', async () => {
  for (const waiting of [ours, others]) {
    let wanted = 0;
    const lease = await take(ours, () => {
      wanted += 1;
      void lease.release();
    });
    const next = await waiting.wait({ name, times }, { patienceMs: 5_000, signal: new AbortController().signal });
    expect(next).not.toBeNull();
    expect(wanted).toBeGreaterThan(0);
    await next?.release();
  }
});

test('waiting ends after the given time, or when it is aborted', async () => {
  await take(ours);
  const { signal } = new AbortController();
  expect(await others.wait({ name, times }, { patienceMs: 200, signal })).toBeNull();
  expect(await others.wait({ name, times }, { patienceMs: 60_000, signal: AbortSignal.abort() })).toBeNull();
});

test('a holder can take its own lease again before it expires', async () => {
  const holder = randomUUID();
  const lease = await ours.take({ name, times, holder });
  const again = await others.take({ name, times, holder });
  expect(again?.token).toBeGreaterThan(lease?.token ?? 0n);
  await lease?.release();
  await again?.release();
});

test('leases that expired long ago are deleted, and no others', async () => {
  const lease = await take(ours);
  await database.sql.query(
    `insert into leases (name, holder, until) values
      ('upload:long ago', gen_random_uuid(), clock_timestamp() - interval '11 minutes'),
      ('upload:just now', gen_random_uuid(), clock_timestamp() - interval '9 minutes')`,
  );
  expect(await pruneLeases(db, 10)).toBe(1);
  const { rows } = await database.sql.query('select name from leases order by name');
  expect(rows).toEqual([{ name: lease.name }, { name: 'upload:just now' }]);
});
