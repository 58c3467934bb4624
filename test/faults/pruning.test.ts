import { expect, test } from 'vitest';
import { pruneEvents } from '../../src/log/retention.ts';
import { createGroup, insertMessage, keyOf } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { expectWhole, hearMore } from '../support/fault.ts';
import { exchangesByLog } from '../support/nodes.ts';
import { openProxy } from '../support/proxy.ts';
import { Reader } from '../support/reader.ts';
import { rounds } from '../support/rounds.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { writeWithMutation, writeWithSql } from '../support/writer.ts';

const dayMs = 86_400_000;

/** Starts a server with its own event log and with three users in a group. */
async function startWorld() {
  const server = await startServer();
  const [ada, grace, linus] = [
    await signUp(server, 'ada'),
    await signUp(server, 'grace'),
    await signUp(server, 'linus'),
  ];
  return { server, ada, grace, linus, chatId: await createGroup(ada, [grace, linus]) };
}

const readCursor = async (person: Person): Promise<string> =>
  (await person.ask('{ viewer { eventCursor } }')).viewer.eventCursor;

const idOf = (cursor: string) => cursor.split('.')[1] ?? '';

/** Makes the events up to this cursor appear eight days old. */
const age = (server: TestServer, cursor: string) =>
  server.sql.query(`update events set at = at - interval '8 days' where id <= $1 and at > now() - interval '1 day'`, [
    idOf(cursor),
  ]);

/**
 * Prunes events that are older than seven days, as the server does periodically. Returns the number of events that it
 * deleted.
 */
async function prune(server: TestServer, limit = 1_000): Promise<number> {
  let count = 0;
  for (;;) {
    const pruned = await pruneEvents(server.sql, 7 * dayMs, limit);
    count += pruned;
    if (pruned < limit) return count;
  }
}

async function readLog(server: TestServer) {
  const { rows } = await server.sql.query(
    `select (select count(*)::int from events) as events, (select count(*)::int from event_recipients) as recipients,
      (select min(id) from events) as first, pruned_through as "prunedThrough" from event_log`,
  );
  return rows[0];
}

test('only the oldest events are pruned, a few at a time, with their recipients', async () => {
  const { server, ada, grace, chatId } = await startWorld();
  for (let number = 1; number <= 20; number += 1) await insertMessage(server, chatId, ada, `message ${number}`);
  await server.sql.query('delete from chats where id = $1', [keyOf(chatId)]);
  const old = await readCursor(ada);
  const another = await createGroup(ada, [grace]);
  await server.sql.query('delete from chats where id = $1', [keyOf(another)]);
  const { events } = await readLog(server);
  expect(await prune(server)).toBe(0);
  await age(server, old);
  expect(await pruneEvents(server.sql, 7 * dayMs, 5)).toBe(5);
  expect(await readLog(server)).toMatchObject({ events: events - 5, recipients: 5 });
  expect(await prune(server, 5)).toBeGreaterThan(10);
  const { rows } = await server.sql.query(`select kind from events order by id`);
  expect(rows.map(({ kind }) => kind)).toEqual(['NewChat', 'ChatDeleted']);
  expect(await readLog(server)).toMatchObject({ recipients: 2, prunedThrough: idOf(old) });
});

test('of several nodes that prune at the same time, only one does', async () => {
  const { server, ada, chatId } = await startWorld();
  for (let number = 1; number <= 20; number += 1) await insertMessage(server, chatId, ada, `message ${number}`);
  await age(server, await readCursor(ada));
  const before = await readLog(server);
  const counts = await Promise.all(Array.from({ length: 4 }, () => prune(server, 3)));
  counts.push(await prune(server, 3));
  expect(counts.reduce((sum, count) => sum + count)).toBe(before.events);
  expect(await readLog(server)).toMatchObject({ events: 0 });
});

test('readers who are not far behind are unaffected', async () => {
  const { server, ada, grace, linus, chatId } = await startWorld();
  const readers = await Promise.all([grace, linus].map((person) => new Reader(server, person).live()));
  const writers = [writeWithMutation(server, [chatId], ada), writeWithSql(server.database.url, [chatId], grace)];
  for (let round = 0; round < rounds(4, 8); round += 1) {
    await hearMore(readers, 20);
    const slowest = readers.map(({ cursor }) => cursor ?? '').toSorted((a, b) => Number(idOf(a)) - Number(idOf(b)))[0];
    await age(server, slowest ?? '');
    await prune(server, 7);
    for (const reader of readers) reader.cut();
  }
  await expectWhole(server.sql, [chatId], { readers, writers });
  expect((await readLog(server)).prunedThrough).not.toBe('0');
});

test('a cursor from before the pruned events gets Reset, the cursor of the last pruned event gets the rest', async () => {
  const { server, ada, grace, linus, chatId } = await startWorld();
  const before = await readCursor(grace);
  await insertMessage(server, chatId, ada, 'pruned');
  const last = await readCursor(grace);
  await insertMessage(server, chatId, ada, 'kept');
  await age(server, last);
  await prune(server);
  const late = await new Reader(server, grace, { cursor: before }).live();
  expect(late.resets).toHaveLength(1);
  expect(late.told).toEqual([]);
  const lateInChat = await new Reader(server, linus, { cursor: before, chatId }).live();
  expect(lateInChat.resets).toHaveLength(1);
  const inTime = await new Reader(server, grace, { cursor: last }).live();
  expect(inTime.resets).toEqual([]);
  expect(inTime.heardIn(chatId)).toEqual([{ seq: 2, content: 'kept' }]);
  // The reader resumes from the cursor of its Reset as it would from any other cursor.
  late.cut();
  await insertMessage(server, chatId, ada, 'new');
  for (const reader of [late, lateInChat, inTime]) await reader.until(() => reader.heardIn(chatId).at(-1)?.seq === 3);
  expect(late.heardIn(chatId)).toEqual([{ seq: 3, content: 'new' }]);
  expect(late.resets).toHaveLength(1);
});

test('a log that was emptied entirely still knows its position', async () => {
  const { server, ada, grace, linus, chatId } = await startWorld();
  const live = await new Reader(server, linus).live();
  const before = await readCursor(grace);
  await insertMessage(server, chatId, ada, 'gone');
  const end = await readCursor(grace);
  await live.until(() => live.heardCount === 1);
  await age(server, end);
  await prune(server);
  expect(await readLog(server)).toMatchObject({ events: 0, prunedThrough: idOf(end) });
  expect(await readCursor(grace)).toBe(end);

  await using another = await startServer({ database: server.database });
  const late = await new Reader(another, grace, { cursor: before }).live();
  expect(late.resets).toHaveLength(1);
  const inTime = await new Reader(another, grace, { cursor: end }).live();
  const fresh = await new Reader(another, grace).live();
  expect(fresh.cursor).toBe(end);
  await insertMessage(server, chatId, ada, 'next');
  for (const reader of [late, inTime, fresh, live]) {
    await reader.until(() => reader.heardIn(chatId).at(-1)?.content === 'next');
    expect(reader.told.at(-1)?.id).toBeGreaterThan(BigInt(idOf(end)));
  }
  for (const reader of [inTime, fresh, live]) expect(reader.resets).toEqual([]);
});

test('when pruning overtakes a node, its readers start over or miss nothing', async () => {
  const { server, ada, grace, chatId } = await startWorld();
  const proxy = await openProxy(server.database.url);
  const env = { DATABASE_URL: proxy.through(server.database.url), DATABASE_DIRECT_URL: server.database.url };
  await using node = await startServer({ database: server.database, env });
  const reader = await new Reader(node, grace).live();
  const reading = proxy.hold('events_next');
  await reading.caught;
  await insertMessage(server, chatId, ada, 'never read by this node');
  await insertMessage(server, chatId, ada, 'nor this');
  await age(server, await readCursor(ada));
  await prune(server);
  reading.release();
  const lacking = [
    { seq: 1, content: 'never read by this node' },
    { seq: 2, content: 'nor this' },
  ];
  // If nodes tell each other about events, another node may have read the log in time, and may have published the
  // events that this node lacks.
  const isWhole = () => !exchangesByLog() && reader.heardIn(chatId).length === lacking.length;
  await reader.until(() => reader.resets.length === 1 || isWhole());
  const heard = isWhole() ? lacking : [];
  await insertMessage(server, chatId, ada, 'and then');
  await reader.until(() => reader.heardIn(chatId).length === heard.length + 1);
  expect(reader.heardIn(chatId)).toEqual([...heard, { seq: 3, content: 'and then' }]);
  expect(reader.faults).toEqual([]);
});

test('an event is never kept when a later one is pruned, whatever times the clock gave them', async () => {
  const { server, ada, grace, chatId } = await startWorld();
  const before = await readCursor(grace);
  const cursors: string[] = [];
  for (const content of ['from the future', 'old', 'from the future, too', 'from a clock that was set back']) {
    await insertMessage(server, chatId, ada, content);
    cursors.push(await readCursor(grace));
  }
  const date = (cursor = '', shift = '') =>
    server.sql.query(`update events set at = now() + $2::interval where id = $1`, [idOf(cursor), shift]);
  await date(cursors[0], '30 days');
  await date(cursors[1], '-8 days');
  await date(cursors[2], '30 days');
  await prune(server);
  expect(await readLog(server)).toMatchObject({ first: idOf(cursors[2] ?? ''), prunedThrough: idOf(cursors[1] ?? '') });
  await date(cursors[3], '-30 days');
  await prune(server);
  expect(await readLog(server)).toMatchObject({ events: 0, prunedThrough: idOf(cursors[3] ?? '') });
  const late = await new Reader(server, grace, { cursor: before }).live();
  expect(late.resets).toHaveLength(1);
});
