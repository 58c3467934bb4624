import { expect, onTestFinished, test, vi } from 'vitest';
import pg from 'pg';
import { createChat, createGroup, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { startFaultyPostgres } from '../support/fault-postgres.ts';
import { upload } from '../support/file.ts';
import { addReaction, deleteMessage, editMessage, onNode, pinMessage } from '../support/message.ts';
import { setPresence } from '../support/presence.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { followEvents, matching } from '../support/stream.ts';

// The test starts two PostgreSQL servers, and one takes over from the other.
vi.setConfig({ testTimeout: 90_000 });

/** Starts a node on the database `chat` of a PostgreSQL server, which the node migrates. */
async function startOn(url: string): Promise<TestServer> {
  const sql = new pg.Pool({ connectionString: url, max: 2 });
  sql.on('error', () => undefined);
  const drop = () => sql.end();
  const node = await startServer({ database: { url, sql, drop, [Symbol.asyncDispose]: drop } });
  onTestFinished(async () => {
    await node.close();
    await drop();
  });
  return node;
}

/** Performs many kinds of writes, and throws if one fails. */
async function writeEverything(node: TestServer, { ada, grace }: { ada: Person; grace: Person }, chatId: string) {
  const linus = await signUp(node, 'linus');
  const own = await createChat(ada, { type: 'PRIVATE_CHANNEL', name: 'afterwards', memberIds: [grace.userId] });
  await ada.ask(
    `mutation ($chatId: ID!, $userIds: [ID!]!) { addMembers(chatId: $chatId, userIds: $userIds) { __typename } }`,
    { chatId: own.id, userIds: [linus.userId] },
  );
  const { id: fileId } = await upload(node, ada, 'a file');
  const messageId = await say(ada, chatId, 'after @grace', { fileIds: [fileId] });
  const outcomes = [
    await addReaction(grace, messageId, '👍'),
    await editMessage(ada, messageId, 'edited @grace'),
    await pinMessage(grace, messageId),
    await deleteMessage(ada, await say(ada, chatId, 'for a moment')),
    await setPresence(grace, 'AWAY', 60),
  ];
  for (const { __typename } of outcomes) expect(__typename).toBeOneOf(['Message', 'Presence']);
  const last = await grace.ask(
    'mutation ($chatId: ID!) { startTyping(chatId: $chatId) markRead(chatId: $chatId, seq: 2) { __typename } }',
    { chatId },
  );
  expect(last).toEqual({ startTyping: true, markRead: { __typename: 'Member' } });
}

test('a standby that is promoted minutes after a release has everything, and takes every write', async () => {
  const primary = await startFaultyPostgres({ wal_keep_size: '256MB' });
  onTestFinished(primary.remove);
  // The standby starts before the migrations run. Until its next restartpoint, which is minutes away, it has the
  // migrations only in its log.
  const standby = await primary.startStandby();
  onTestFinished(standby.remove);
  await primary.run('create database chat');
  const before = await startOn(primary.urlOf('chat'));
  const [ada, grace] = [await signUp(before, 'ada'), await signUp(before, 'grace')];
  const chatId = await createGroup(ada, [grace]);
  await say(ada, chatId, 'before');
  await before.close();

  const copy = new pg.Pool({ connectionString: standby.urlOf('chat'), max: 1 });
  copy.on('error', () => undefined);
  onTestFinished(() => copy.end());
  const said = () => copy.query(`select from messages where content = 'before'`).then(({ rowCount }) => rowCount);
  await expect.poll(() => said().catch(() => 0), { timeout: 20_000 }).toBe(1);
  await primary.end('SIGQUIT');
  await standby.promote();

  const after = await startOn(standby.urlOf('chat'));
  const people = { ada: onNode(after, ada), grace: onNode(after, grace) };
  await using stream = await followEvents(after, grace);
  await writeEverything(after, people, chatId);
  await stream.next(matching({ __typename: 'MessageEdited', message: { content: 'edited @grace' } }));
  const read = await people.ada.ask(
    'query ($id: ID!) { chat(id: $id) { messages(first: 5) { edges { node { content } } } } }',
    { id: chatId },
  );
  const contents = read.chat.messages.edges.map((edge: { node: { content: string | null } }) => edge.node.content);
  expect(contents).toContain('before');
  expect(after.log.filter(({ level }) => level === 'error')).toEqual([]);
});
