import pg from 'pg';
import { onTestFinished } from 'vitest';
import { Attendance } from '../../src/live/attendance.ts';
import type { Listener, Outlet } from '../../src/live/listener.ts';
import { Leases } from '../../src/postgres/lease.ts';
import { NodeLease } from '../../src/postgres/node-lease.ts';
import { createDatabase, type TestDatabase } from './database.ts';

/** The number of users in a crowd. */
export const crowdSize = 5_000;

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

/** Users who all have a session in the same database. */
export type Crowd = {
  database: TestDatabase;
  /** There is one listener for each user. */
  listeners: Listener[];
  /** The notifications about changes that every node has received since the crowd was created. */
  payloads: string[];
};

/** Creates a crowd of users, whose ids are as long as possible. The crowd exists until the test is over. */
export async function gatherCrowd(): Promise<Crowd> {
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

/** The part of a node that reports who is present. */
export type AttendanceNode = {
  attendance: Attendance;
  /** The names of the statements that it has sent. */
  statements: string[];
  /** The faults that it has reported. */
  faults: unknown[];
};

/** Opens the presence part of a node until the test is over, and records the statements that it sends. */
export async function openAttendanceNode(pool: pg.Pool): Promise<AttendanceNode> {
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
