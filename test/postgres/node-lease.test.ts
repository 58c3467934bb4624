import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { connectDatabase, disconnectDatabase, type Db } from '../../src/postgres/client.ts';
import { Leases } from '../../src/postgres/lease.ts';
import { NodeLease } from '../../src/postgres/node-lease.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { atFileEnd } from '../support/file-end.ts';

const times = { expiry: 600, renewal: 100 };

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createDatabase();
  db = connectDatabase({ url: database.url, maxConnections: 4, statementTimeoutMs: 10_000, onError: () => {} });
});
atFileEnd(async () => {
  await disconnectDatabase(db);
  await database.drop();
});

/** Opens a node, and returns it with a switch that cuts the node off from the database. */
async function openNode({ confirm = async () => undefined }: { confirm?: () => Promise<unknown> } = {}) {
  const cut = { isAway: false };
  const pool = new Proxy(db.pool, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (name !== 'query' || typeof value !== 'function') return value;
      return (...args: unknown[]): unknown =>
        cut.isAway ? Promise.reject(new Error('the database is away')) : Reflect.apply(value, target, args);
    },
  });
  const node = new NodeLease(new Leases({ pool }), times, { name: 'a release', confirm });
  await node.open();
  onTestFinished(() => node.close());
  return { node, cut };
}

async function isValid({ name }: NodeLease): Promise<boolean> {
  const { rowCount } = await database.sql.query('select from leases where name = $1 and until > clock_timestamp()', [
    name,
  ]);
  return rowCount === 1;
}

test('a node that was cut off for longer than its lease takes it again once it is back', async () => {
  const { node, cut } = await openNode();
  await expect.poll(() => node.isSettled, { timeout: 5_000 }).toBe(true);
  cut.isAway = true;
  await expect.poll(() => isValid(node), { timeout: 5_000 }).toBe(false);
  await expect.poll(() => node.isSettled, { timeout: 5_000 }).toBe(false);
  cut.isAway = false;
  await expect.poll(() => isValid(node), { timeout: 5_000 }).toBe(true);
  // The other nodes may also be about to take their leases again, so this node is not settled yet.
  expect(node.isSettled).toBe(false);
});

test('a node whose lease was deleted takes it again', async () => {
  const { node } = await openNode();
  await database.sql.query('delete from leases where name = $1', [node.name]);
  await expect.poll(() => isValid(node), { timeout: 5_000 }).toBe(true);
});

test('a node that loses its lease before its release is confirmed takes it again', async () => {
  let confirmCount = 0;
  const { node } = await openNode({
    confirm: async () => {
      confirmCount += 1;
      if (confirmCount > 1) return;
      await database.sql.query(`delete from leases where name like 'node:%'`);
      await sleep(2 * times.renewal);
    },
  });
  await expect.poll(() => confirmCount, { timeout: 5_000 }).toBe(2);
  await expect.poll(() => isValid(node), { timeout: 5_000 }).toBe(true);
});

test('a node that stops releases its lease immediately', async () => {
  const { node } = await openNode();
  expect(await isValid(node)).toBe(true);
  await node.close();
  const { rowCount } = await database.sql.query('select from leases where name = $1', [node.name]);
  expect(rowCount).toBe(0);
});
