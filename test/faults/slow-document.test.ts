import { expect, onTestFinished, test } from 'vitest';
import { createGroup, insertMessage, keyOf } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { createDatabase } from '../support/database.ts';
import { expectWhole } from '../support/fault.ts';
import { openProxy } from '../support/proxy.ts';
import { Reader } from '../support/reader.ts';
import { startServer } from '../support/server.ts';

const server = await startServer();
const ada = await signUp(server, 'ada');
const grace = await signUp(server, 'grace');
const linus = await signUp(server, 'linus');

/** Serves a document that needs a statement that the usual document does not need. */
const needsReactions = { ofMessage: 'reactions { emoji }' };

test('a document that hangs delays no other, holds a bounded number of events, and misses none', async () => {
  const proxy = await openProxy(server.database.url);
  const env = { DATABASE_URL: proxy.through(server.database.url), DATABASE_DIRECT_URL: server.database.url };
  await using node = await startServer({ database: server.database, env });
  const chatId = await createGroup(ada, [grace, linus]);
  const slow = await Promise.all([grace, ada].map((person) => new Reader(node, person, needsReactions).live()));
  const swift = await new Reader(node, linus).live();
  const rendering = proxy.hold('join reaction_counts c using');
  await insertMessage(server, chatId, ada, 'the first');
  await rendering.caught;
  for (let floods = 1; floods <= 5; floods += 1) {
    await server.sql.query(
      `insert into messages (chat_id, seq, sender_id, content)
      select id, last_seq + n, $2, 'another' from chats, generate_series(1, 1000) n where id = $1`,
      [keyOf(chatId), keyOf(ada.userId)],
    );
    await swift.until(() => swift.heardCount === 1 + 1_000 * floods);
  }
  rendering.release();
  await expectWhole(server.sql, [chatId], { readers: [...slow, swift], writers: [] });
  // The slow readers went back to the log, on the same stream.
  expect(slow.map(({ streamCount }) => streamCount)).toEqual([1, 1]);
  expect(Math.min(...slow.map(({ caughtUpCount }) => caughtUpCount))).toBeGreaterThan(1);
});

test('an event whose statement times out behind a lock is delivered when the lock is gone', async () => {
  const chatId = await createGroup(ada, [grace]);
  const reader = await new Reader(server, grace, { ofMessage: 'reactions { emoji }' }).live();
  const locker = await server.sql.connect();
  onTestFinished(() => locker.release(true));
  await locker.query('begin; lock table reaction_counts in access exclusive mode');
  await insertMessage(server, chatId, ada, 'behind a lock');
  const findWaiting = async () => {
    const { rows } = await server.sql.query<{ pid: number }>(
      `select pid from pg_stat_activity
      where application_name = 'parley' and wait_event_type = 'Lock' and datname = current_database()`,
    );
    return rows[0]?.pid;
  };
  await expect.poll(findWaiting).toEqual(expect.any(Number));
  // The time limit of the statement has the same effect when the lock is held for too long.
  await server.sql.query('select pg_cancel_backend($1)', [await findWaiting()]);
  await locker.query('commit');
  await expectWhole(server.sql, [chatId], { readers: [reader], writers: [] });
});

test('events of a former history that still wait for a slow document are not sent with cursors of the new one', async () => {
  const database = await createDatabase();
  const proxy = await openProxy(database.url);
  const env = { DATABASE_URL: proxy.through(database.url), DATABASE_DIRECT_URL: database.url };
  await using node = await startServer({ database, env });
  const [hedy, alan] = [await signUp(node, 'hedy'), await signUp(node, 'alan')];
  const chatId = await createGroup(hedy, [alan]);
  const slow = await new Reader(node, alan, needsReactions).live();
  const swift = await new Reader(node, hedy).live();
  const rendering = proxy.hold('join reaction_counts c using');
  for (const content of ['the first', 'the second']) {
    const heard = swift.heardCount;
    await insertMessage(node, chatId, hedy, content);
    await swift.until(() => swift.heardCount > heard);
    await rendering.caught;
  }
  // This creates the state after a restore that lost the second message: its id now belongs to another event.
  await node.sql.query(`begin;
    alter table events rename to former_events;
    create table events (like former_events including all);
    insert into events select * from former_events where id < (select max(id) from former_events);
    commit;
    select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'parley doorbell' and datname = current_database();`);
  await swift.until(() => swift.resets.length > 0);
  rendering.release();
  await slow.until(() => slow.resets.length > 0);
  expect(slow.heardIn(chatId).map(({ content }) => content)).not.toContain('the second');
});
