import type pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { createGroup, keyOf, sendMessage } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { createDatabase } from '../support/database.ts';
import { expectWhole, hearMore } from '../support/fault.ts';
import { openProxy } from '../support/proxy.ts';
import { Reader } from '../support/reader.ts';
import { rounds } from '../support/rounds.ts';
import { startServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { writeWithMutation, writeWithSql } from '../support/writer.ts';

const server = await sharedServer();
const ada = await signUp(server, 'ada');
const grace = await signUp(server, 'grace');
const linus = await signUp(server, 'linus');

const insert = (client: pg.ClientBase, chatId: string, sender: Person, content: string) =>
  client.query('insert into messages (chat_id, sender_id, content) values ($1, $2, $3)', [
    keyOf(chatId),
    keyOf(sender.userId),
    content,
  ]);

/** Opens a connection and begins a transaction on it, as psql would. */
async function begin(): Promise<pg.PoolClient> {
  const client = await server.sql.connect();
  // PostgreSQL may close the connection.
  client.on('error', () => {});
  onTestFinished(() => client.release(true));
  await client.query('begin');
  return client;
}

const createGroups = (count: number) =>
  Promise.all(Array.from({ length: count }, () => createGroup(ada, [grace, linus])));

test('a node that never receives a NOTIFY delivers by polling', async () => {
  await using elsewhere = await createDatabase();
  await using deaf = await startServer({ database: server.database, env: { DATABASE_DIRECT_URL: elsewhere.url } });
  const chatId = await createGroup(ada, [grace, linus]);
  const readers = await Promise.all([grace, linus].map((person) => new Reader(deaf, person).live()));
  const writers = [writeWithMutation(server, [chatId], ada), writeWithSql(server.database.url, [chatId], grace)];
  await hearMore(readers, 20);
  readers[0]?.cut();
  await hearMore(readers, 20);
  await expectWhole(server.sql, [chatId], { readers, writers });
});

test('a node whose LISTEN connection is cut over and over delivers everything once', async () => {
  const proxy = await openProxy(server.database.url);
  const env = { DATABASE_DIRECT_URL: proxy.through(server.database.url) };
  await using node = await startServer({ database: server.database, env });
  const chatId = await createGroup(ada, [grace, linus]);
  const readers = await Promise.all([grace, linus].map((person) => new Reader(node, person).live()));
  const writers = [writeWithMutation(server, [chatId], ada), writeWithSql(server.database.url, [chatId], grace)];
  for (let cuts = 0; cuts < 4; cuts += 1) {
    await expect.poll(() => proxy.size).toBe(1);
    proxy.cut();
    await hearMore(readers, 20);
  }
  await expectWhole(server.sql, [chatId], { readers, writers });
  expect(readers.map(({ streamCount }) => streamCount)).toEqual([1, 1]);
});

test('events arrive in the order of commits, even if the transactions began in another order', async () => {
  const [first = '', second = '', third = ''] = await createGroups(3);
  const readers = await Promise.all([grace, linus].map((person) => new Reader(server, person).live()));
  const [one, two, three] = [await begin(), await begin(), await begin()];
  await insert(one, first, ada, 'began first');
  await insert(two, second, ada, 'began second');
  await insert(three, third, ada, 'began third');
  await two.query('commit');
  await three.query('commit');
  for (const reader of readers) {
    await reader.until(() => reader.heardCount === 2);
    // The reader's cursor is past the point where the first transaction began.
    reader.cut();
  }
  await one.query('commit');
  await expectWhole(server.sql, [first, second, third], { readers, writers: [] });
  for (const reader of readers) {
    const contents = reader.told.map(({ event }) => event.message.content);
    expect(contents).toEqual(['began second', 'began third', 'began first']);
  }
});

test('of many concurrent transactions, some rolled back in part or whole, exactly what was committed arrives', async () => {
  const chatIds = await createGroups(3);
  const readers = await Promise.all([grace, linus].map((person) => new Reader(server, person).live()));
  const others = writeWithSql(server.database.url, [chatIds[0] ?? ''], ada);
  for (let round = 0; round < rounds(8, 20); round += 1) {
    const clients = await Promise.all([server.sql.connect(), server.sql.connect()]);
    await Promise.all(
      clients.map(async (client, index) => {
        const chatId = chatIds[1 + index] ?? '';
        await client.query('begin');
        await insert(client, chatId, ada, `kept ${round}`);
        await client.query('savepoint here');
        await insert(client, chatId, ada, `undone ${round}`);
        if (round % 2 === 0) await client.query('rollback to savepoint here');
        await insert(client, chatId, ada, `last ${round}`);
        await client.query(round % 3 === index ? 'rollback' : 'commit');
        client.release();
      }),
    );
    if (round % 5 === 0) for (const reader of readers) reader.cut();
  }
  await expectWhole(server.sql, chatIds, { readers, writers: [others] });
});

test('a transaction that stays open, and those that wait for it, delay no one else', async () => {
  const chatIds = await createGroups(3);
  const [held = '', ...others] = chatIds;
  const readers = await Promise.all([grace, linus].map((person) => new Reader(server, person).live()));
  const open = await begin();
  await insert(open, held, ada, 'long in the making');
  // There are more requests than the node has connections.
  const waiting = Array.from({ length: 30 }, (_, index) => sendMessage(grace, held, `waits ${index}`));
  const writers = [writeWithMutation(server, others, ada), writeWithSql(server.database.url, others, linus)];
  const startedAt = performance.now();
  await hearMore(readers, 100);
  readers[1]?.cut();
  await hearMore(readers, 100);
  expect(performance.now() - startedAt).toBeLessThan(8_000);
  await open.query('commit');
  await Promise.all(waiting);
  await expectWhole(server.sql, chatIds, { readers, writers });
  expect(readers.map((reader) => reader.heardIn(held)[0]?.content)).toEqual([
    'long in the making',
    'long in the making',
  ]);
});

test('a transaction that makes its constraints immediate and then idles is ended within moments, and everything else continues', async () => {
  const chatIds = await createGroups(2);
  const [theirs = '', others = ''] = chatIds;
  const readers = await Promise.all([grace, linus].map((person) => new Reader(server, person).live()));
  const writers = [writeWithMutation(server, [others], ada), writeWithSql(server.database.url, [others], linus)];
  await hearMore(readers, 20);
  const idler = await begin();
  const ended = new Promise((resolve) => idler.on('error', resolve));
  await insert(idler, theirs, ada, 'never to be');
  await idler.query('set constraints all immediate');
  await hearMore(readers, 50);
  // PostgreSQL ended the connection because its transaction was idle for too long.
  expect(await ended).toMatchObject({ code: '25P03' });
  await expectWhole(server.sql, chatIds, { readers, writers });
  expect(readers.map((reader) => reader.heardIn(theirs))).toEqual([[], []]);
});
