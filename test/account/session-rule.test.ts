import { beforeAll, expect, test, vi } from 'vitest';
import { connectDatabase, disconnectDatabase, type Db } from '../../src/postgres/client.ts';
import { LiveSessions } from '../../src/account/live-session.ts';
import { pruneSessions } from '../../src/account/session.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { atFileEnd } from '../support/file-end.ts';

let database: TestDatabase;
let db: Db;
let userId: bigint;

beforeAll(async () => {
  database = await createDatabase();
  db = connectDatabase({ url: database.url, maxConnections: 4, statementTimeoutMs: 10_000, onError: () => {} });
  const { rows } = await db.pool.query<{ id: bigint }>(
    "insert into users (username, email) values ('ada', 'ada@example.com') returning id",
  );
  userId = rows[0]?.id ?? 0n;
});
atFileEnd(async () => {
  await disconnectDatabase(db);
  await database.drop();
});

/** Creates sessions for Ada that have been idle for `idleFor`. */
async function openSessions(count: number, idleFor = '0 s'): Promise<bigint[]> {
  const { rows } = await db.pool.query<{ id: bigint }>(
    `insert into sessions (user_id, last_used_at) select $1, now() - $3::interval from generate_series(1, $2::int)
    returning id`,
    [userId, count, idleFor],
  );
  return rows.map(({ id }) => id);
}

async function countIn(table: string): Promise<number> {
  const { rows } = await database.sql.query(`select count(*)::int as count from ${table}`);
  return rows[0].count;
}

test('sessions that were not refreshed for 30 days are pruned, a batch at a time', async () => {
  await openSessions(5, '31 days');
  await openSessions(2, '29 days');
  expect(await pruneSessions({ db }, 3)).toBe(3);
  expect(await pruneSessions({ db }, 3)).toBe(2);
  expect(await pruneSessions({ db }, 3)).toBe(0);
  expect(await countIn('sessions')).toBe(2);
});

test('refresh tokens that were used long ago are pruned, and recently used ones are kept to detect theft', async () => {
  const [session] = await openSessions(1);
  await db.pool.query(
    `insert into refresh_tokens (token_hash, session_id, created_at, used_at) values
      (sha256('a'), $1, now() - interval '40 days', now() - interval '31 days'),
      (sha256('b'), $1, now() - interval '31 days', now() - interval '29 days'),
      (sha256('c'), $1, now() - interval '31 days', null),
      (sha256('d'), $1, now(), null)`,
    [session],
  );
  expect(await pruneSessions({ db })).toBe(2);
  expect(await countIn('refresh_tokens')).toBe(2);
});

test('sessions that are requested together are looked up by one query, and again only after half a second', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const ids = await openSessions(3);
  const live = new LiveSessions(db);
  const query = vi.spyOn(db.pool, 'query');
  const areLive = () => Promise.all([...ids, ...ids].map((sessionId) => live.isLive({ userId, sessionId })));
  expect(new Set(await areLive())).toEqual(new Set([true]));
  expect(query).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(490);
  await areLive();
  expect(query).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(20);
  await areLive();
  expect(query).toHaveBeenCalledTimes(2);
  vi.restoreAllMocks();
  vi.useRealTimers();
});

test('a session is live for its own user alone', async () => {
  const [sessionId = 0n] = await openSessions(1);
  const live = new LiveSessions(db);
  expect(await live.isLive({ userId, sessionId })).toBe(true);
  expect(await live.isLive({ userId: userId + 1n, sessionId })).toBe(false);
});

test('an answer that was on its way when the session ended here is discarded', async () => {
  const [sessionId = 0n] = await openSessions(1);
  const live = new LiveSessions(db);
  const onItsWay = live.isLive({ userId, sessionId });
  await database.sql.query('delete from sessions where id = $1', [sessionId]);
  live.forget(sessionId);
  const afterwards = live.isLive({ userId, sessionId });
  await onItsWay;
  expect(await afterwards).toBe(false);
  expect(await live.isLive({ userId, sessionId })).toBe(false);
});

test('while the database does not answer, no session is live, and the next check asks it again', async () => {
  const [sessionId = 0n] = await openSessions(1);
  const live = new LiveSessions(db);
  vi.spyOn(db.pool, 'query').mockRejectedValueOnce(new Error('the database is gone'));
  await expect(live.isLive({ userId, sessionId })).rejects.toThrow('the database is gone');
  expect(await live.isLive({ userId, sessionId })).toBe(true);
  vi.restoreAllMocks();
});
