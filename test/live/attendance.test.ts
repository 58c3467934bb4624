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

test('after a crash in which the database lost all presence, only users who have left are reported offline', async () => {
  const { database, listeners, payloads } = await gatherCrowd();
  const [some, others] = [listeners.slice(0, 10), listeners.slice(10, 20)];
  const [one, other] = [await openNode(database.sql), await openNode(database.sql)];
  for (const listener of some) one.attendance.arrive(listener);
  for (const listener of others) other.attendance.arrive(listener);
  await expect.poll(() => payloads.flatMap(readPresenceChanges).length).toBe(20);
  payloads.length = 0;
  const here = 'select from session_presences';
  // The state after a crash, which empties unlogged tables. One of the users has left meanwhile, with their node.
  await database.sql.query(
    `insert into presences (user_id, status) select user_id, 'ONLINE' from sessions where id = $1`,
    [listeners[20]?.sessionId],
  );
  await database.sql.query('delete from presence_nodes');
  await expect.poll(async () => (await database.sql.query(here)).rowCount).toBe(20);
  await expect.poll(() => payloads.flatMap(readPresenceChanges)).toMatchObject([{ userId: listeners[20]?.userId }]);
  expect(payloads.join()).toContain('OFFLINE');
  expect([...one.faults, ...other.faults]).toEqual([]);
});

test('a node whose row was removed while it reported a user reports all the others again', async () => {
  const { database, listeners } = await gatherCrowd();
  const { attendance } = await openNode(database.sql);
  const here = async () => (await database.sql.query('select from session_presences')).rowCount;
  for (const listener of listeners.slice(0, 5)) attendance.arrive(listener);
  await expect.poll(here).toBe(5);
  const [last] = listeners.slice(5);
  if (last === undefined) throw new Error('there is no crowd');
  await database.sql.query('delete from presence_nodes');
  attendance.arrive(last);
  await expect.poll(here).toBe(6);
});
