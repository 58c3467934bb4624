import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { Attendance } from '../../src/live/attendance.ts';
import type { Outlet, Listener } from '../../src/live/listener.ts';
import { readPresenceChanges } from '../../src/live/presence.ts';
import { Leases } from '../../src/postgres/lease.ts';
import { NodeLease } from '../../src/postgres/node-lease.ts';
import { createDatabase } from '../support/database.ts';

const crowdSize = 5_000;
const times = { flush: 5, grace: 50, beat: 50, expiry: 1_000 };
const nobody: Outlet = {
  wantsPresence: false,
  publish: () => undefined,
  end: () => undefined,
  publishTyping: () => undefined,
  publishPresence: () => undefined,
  refresh: () => undefined,
  interrupt: () => undefined,
};

/** A database with a crowd of users, whose ids are as long as possible, and the notifications that nodes receive. */
async function gatherCrowd() {
  const database = await createDatabase();
  onTestFinished(database.drop);
  const { rows } = await database.sql.query<{ id: string; user_id: string }>(
    `with crowd as (
      insert into users (id, username, email) overriding system value
      select 9000000000000000000 + n, 'p' || n, 'p' || n || '@example.com' from generate_series(1, $1) n
      returning id
    )
    insert into sessions (user_id) select id from crowd returning id, user_id`,
    [crowdSize],
  );
  const listeners = rows.map(({ id, user_id }): Listener => ({
    userId: BigInt(user_id),
    sessionId: BigInt(id),
    chatId: null,
    isPublicReader: false,
    outlet: nobody,
  }));
  const ear = new pg.Client({ connectionString: database.url });
  await ear.connect();
  onTestFinished(() => ear.end());
  const payloads: string[] = [];
  ear.on('notification', ({ payload }) => payloads.push(payload ?? ''));
  await ear.query('listen parley_presence');
  return { database, listeners, payloads };
}

/** Opens a node, and records the statements that it sends. */
async function openNode(pool: pg.Pool) {
  const statements: string[] = [];
  const recording = new Proxy(pool, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (name !== 'query' || typeof value !== 'function') return value;
      return (query: string | { name: string }): unknown => {
        statements.push(typeof query === 'string' ? query : query.name);
        return Reflect.apply(value, target, [query]);
      };
    },
  });
  const faults: unknown[] = [];
  const node = new NodeLease(
    new Leases({ pool }),
    { expiry: times.expiry, renewal: times.beat },
    { name: 'a release', confirm: async () => undefined },
  );
  await node.open();
  onTestFinished(() => node.close());
  const attendance = new Attendance({
    pool: recording,
    node,
    report: (_, message, detail) => void faults.push({ message, detail }),
    attendanceTimes: times,
  });
  attendance.open();
  onTestFinished(() => attendance.close());
  return { attendance, statements, faults };
}

test(
  'a crowd that arrives or leaves at the same moment is reported in a few statements',
  { timeout: 60_000 },
  async () => {
    const { database, listeners, payloads } = await gatherCrowd();
    const { attendance, statements, faults } = await openNode(database.sql);
    const told = () => payloads.flatMap(readPresenceChanges);
    for (const listener of listeners) attendance.arrive(listener);
    await expect.poll(() => told().length, { timeout: 20_000 }).toBe(crowdSize);
    expect(told().every(({ presence }) => presence.status === 'ONLINE')).toBe(true);
    expect(statements.filter((name) => name === 'attend').length).toBeLessThanOrEqual(5);

    // A user who opens another stream, or who returns immediately, costs nothing.
    const before = statements.filter((name) => name === 'attend').length;
    for (const listener of listeners) attendance.arrive(listener);
    for (const listener of listeners) attendance.depart(listener);
    for (const listener of listeners) attendance.depart(listener);
    for (const listener of listeners) attendance.arrive(listener);
    const beats = statements.filter((name) => name === 'beat').length;
    await expect.poll(() => statements.filter((name) => name === 'beat').length).toBeGreaterThan(beats + 1);
    expect(statements.filter((name) => name === 'attend').length).toBe(before);

    payloads.length = 0;
    for (const listener of listeners) attendance.depart(listener);
    await expect.poll(() => told().length, { timeout: 20_000 }).toBe(crowdSize);
    expect(told().every(({ presence }) => presence.status === 'OFFLINE')).toBe(true);
    expect(statements.filter((name) => name === 'attend').length).toBeLessThanOrEqual(before + 5);
    expect(Math.max(...payloads.map((payload) => Buffer.byteLength(payload)))).toBeLessThan(8_000);
    expect(faults).toEqual([]);
  },
);

test('one of many nodes sweeps for all of them', async () => {
  const { database } = await gatherCrowd();
  const nodes = await Promise.all([1, 2, 3].map(() => openNode(database.sql)));
  const beats = () => nodes.map(({ statements }) => statements.filter((name) => name === 'beat').length);
  await expect.poll(() => Math.min(...beats())).toBeGreaterThan(2);
  const { rows } = await database.sql.query<{ node: string }>('select node from presence_nodes order by node');
  expect(rows).toHaveLength(3);
  // The other nodes leave the sweeping to it.
  await database.sql.query(`insert into presence_nodes (node) values ('~ dead')`);
  const sweep = (node: string | undefined) =>
    database.sql.query<{ swept: boolean }>(`select sweep_presences($1, interval '1 s', interval '0.05 s') as swept`, [
      node,
    ]);
  const [, second, third] = rows;
  for (const { node } of [second, third].filter((row) => row !== undefined)) {
    const { rows: outcomes } = await sweep(node);
    expect(outcomes).toEqual([{ swept: false }]);
  }
  await expect
    .poll(async () => (await database.sql.query(`select from presence_nodes where node = '~ dead'`)).rowCount)
    .toBe(0);
});
