import { expect, test } from 'vitest';
import { readPresenceChanges } from '../../src/live/presence.ts';
import { gatherCrowd, openAttendanceNode } from '../support/attendance.ts';

test('after a crash in which the database lost all presence, only users who have left are reported offline', async () => {
  const { database, listeners, payloads } = await gatherCrowd();
  const [some, others] = [listeners.slice(0, 10), listeners.slice(10, 20)];
  const [one, other] = [await openAttendanceNode(database.sql), await openAttendanceNode(database.sql)];
  for (const listener of some) one.attendance.arrive(listener);
  for (const listener of others) other.attendance.arrive(listener);
  await expect.poll(() => payloads.flatMap(readPresenceChanges).length).toBe(20);
  payloads.length = 0;
  const here = 'select from session_presences';
  // This is the state after a crash, which empties unlogged tables. In the meantime, one of the users has left, and
  // their node has stopped.
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
  const { attendance } = await openAttendanceNode(database.sql);
  const here = async () => (await database.sql.query('select from session_presences')).rowCount;
  for (const listener of listeners.slice(0, 5)) attendance.arrive(listener);
  await expect.poll(here).toBe(5);
  const [last] = listeners.slice(5);
  if (last === undefined) throw new Error('there is no crowd');
  await database.sql.query('delete from presence_nodes');
  attendance.arrive(last);
  await expect.poll(here).toBe(6);
});
