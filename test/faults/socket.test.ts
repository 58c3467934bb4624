import { expect, test } from 'vitest';
import { createGroup } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { expectWhole, hearMore } from '../support/fault.ts';
import { openProxy } from '../support/proxy.ts';
import { Reader } from '../support/reader.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { writeWithMutation, writeWithSql } from '../support/writer.ts';

const server = await sharedServer();
const otherNode = await sharedNode(server);
const ada = await signUp(server, 'ada');
const grace = await signUp(server, 'grace');
const linus = await signUp(server, 'linus');

/**
 * Creates two chats that all three users are in, and two writers: one that writes through the first node, and one that
 * writes with SQL.
 */
async function startChats() {
  const chatIds = [await createGroup(ada, [grace, linus]), await createGroup(ada, [grace, linus])];
  const write = () => [writeWithMutation(server, chatIds, ada), writeWithSql(server.database.url, chatIds, grace)];
  return { chatIds, write };
}

test('readers whose sockets are cut at random miss nothing and receive nothing twice', async () => {
  const { chatIds, write } = await startChats();
  const proxy = await openProxy(server.url);
  const behind = { url: proxy.through(server.url) };
  const readers = await Promise.all([grace, linus, linus].map((person) => new Reader(behind, person).live()));
  const writers = write();
  for (let cuts = 0; cuts < 12; cuts += 1) {
    await hearMore(readers, 1 + Math.floor(Math.random() * 15));
    proxy.cut(0.6);
  }
  await expectWhole(server.sql, chatIds, { readers, writers });
  expect(Math.min(...readers.map(({ streamCount }) => streamCount))).toBeGreaterThan(1);
});

test('a reader that reconnects every few hundred milliseconds misses nothing and receives nothing twice', async () => {
  const { chatIds, write } = await startChats();
  const readers = await Promise.all([grace, linus].map((person) => new Reader(server, person).live()));
  const writers = write();
  const hurry = setInterval(() => {
    for (const reader of readers) reader.cut();
  }, 150);
  for (const reader of readers) await reader.until(() => reader.streamCount >= 12);
  clearInterval(hurry);
  await expectWhole(server.sql, chatIds, { readers, writers });
});

test('readers that move between two nodes, while the writers stay on one, miss nothing and receive nothing twice', async () => {
  const { chatIds, write } = await startChats();
  const readers = await Promise.all([grace, linus].map((person) => new Reader(otherNode, person).live()));
  const writers = write();
  for (let moves = 0; moves < 10; moves += 1) {
    await hearMore(readers, 1 + Math.floor(Math.random() * 10));
    for (const reader of readers) reader.moveTo(moves % 2 === 0 ? server : otherNode);
  }
  await expectWhole(server.sql, chatIds, { readers, writers });
});
