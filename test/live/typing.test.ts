import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { addMembers, createGroup, createPublicChannel, insertMessage, keyOf, removeMember } from '../support/chat.ts';
import { type Person, signUpAll } from '../support/client.ts';
import { rounds } from '../support/rounds.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { recordStatements } from '../support/statements.ts';
import { envelopeOf, eventOf, followChat, followEvents, matching, type EventStream } from '../support/stream.ts';

let server: TestServer;
let other: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await sharedServer();
  other = await sharedNode(server);
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

const document = `subscription ($after: String) {
  events(after: $after) {
    cursor at event {
      __typename
      ... on Typing { chatId userId user { username } }
      ... on NewChat { chat { id } }
      ... on NewMessage { message { content } }
      ... on RemoveFromChat { chatId }
      ... on CaughtUp { replayed }
    }
  }
}`;
const follow = (node: TestServer, person: Person): Promise<EventStream> => followEvents(node, person, { document });

async function startTyping(node: TestServer, person: Person, chatId: string): Promise<boolean> {
  const { startTyping: isTold } = await node.ask(
    'mutation ($chatId: ID!) { startTyping(chatId: $chatId) }',
    { chatId },
    person.token,
  );
  return isTold;
}

/** Writes a message, and returns the kinds of the events that arrive before it. */
async function readToNow(stream: EventStream, node: TestServer, chatId: string): Promise<string[]> {
  const content = `now ${Math.random()}`;
  await insertMessage(node, chatId, ada, content);
  const frames = await stream.until(matching({ message: { content } }));
  return frames.slice(0, -1).map((frame) => eventOf(frame).__typename);
}

test('the others see who is typing, at the current position of their streams', async () => {
  const chatId = await createGroup(ada, [grace, linus]);
  await using typist = await follow(server, ada);
  await using reader = await follow(server, grace);
  await using follower = await followChat(server, linus, chatId);
  await insertMessage(server, chatId, grace, 'a place');
  const place = (await reader.next('NewMessage')).id;

  expect(await startTyping(server, ada, chatId)).toBe(true);
  const typing = await reader.next();
  expect(eventOf(typing)).toEqual({ __typename: 'Typing', chatId, userId: ada.userId, user: { username: 'ada' } });
  expect(typing.id).toBe(place);
  expect(envelopeOf(typing).cursor).toBe(place);
  expect((await follower.next('Typing')).id).toBe(place);
  expect(await readToNow(typist, server, chatId)).toEqual(['NewMessage']);
});

test('typing is not stored, and no one receives it later', async () => {
  const chatId = await createGroup(ada, [grace]);
  await using reader = await follow(server, grace);
  const { cursor } = reader;
  const count = () => server.sql.query('select count(*) from events').then(({ rows }) => rows[0].count);
  const before = await count();
  const statements = await recordStatements(server, () => startTyping(server, ada, chatId));
  await reader.next('Typing');
  expect(await count()).toBe(before);
  // Reporting that someone is typing does not wait for a write to the disk.
  const told = statements.filter((statement) => statement.includes('parley_typing'));
  expect(told).toHaveLength(1);
  expect(told[0]).toContain(`'synchronous_commit', 'off'`);
  expect(statements.filter((statement) => /\b(insert|update|delete)\b/i.test(statement))).toEqual([]);
  await using later = await followEvents(server, grace, { document, variables: { after: cursor } });
  expect(later.frames.map((frame) => eventOf(frame).__typename)).toEqual(['CaughtUp']);
});

test('typing reaches the readers on every node', async () => {
  const chatId = await createGroup(ada, [grace]);
  await using here = await follow(server, grace);
  await using there = await follow(other, grace);
  await startTyping(other, ada, chatId);
  for (const reader of [here, there]) {
    const typing = await reader.next(matching({ __typename: 'Typing', chatId }));
    expect(eventOf(typing).userId).toBe(ada.userId);
  }
});

test('only members can report that they are typing', async () => {
  const groupId = await createGroup(ada, [grace]);
  const channelId = await createPublicChannel(ada);
  await using reader = await follow(server, grace);
  await using inChannel = await followChat(server, grace, channelId);
  expect(await startTyping(server, ada, groupId)).toBe(true);
  expect(await startTyping(server, ada, channelId)).toBe(true);
  expect(eventOf(await inChannel.next('Typing')).__typename).toBe('Typing');
  await reader.next('Typing');

  // The chats are a hidden chat, a chat that any user may read, and a chat that does not exist. Linus is not a member
  // of any of them.
  for (const chatId of [groupId, channelId, encodeId('Chat', 999_999n)]) {
    expect(await startTyping(server, linus, chatId)).toBe(false);
  }
  expect(await readToNow(reader, server, groupId)).toEqual([]);
  expect(await readToNow(inChannel, server, channelId)).toEqual([]);
  const refused = await server.post('mutation ($chatId: ID!) { startTyping(chatId: $chatId) }', { chatId: groupId });
  expect(refused.errors?.[0]?.extensions?.['code']).toBe('UNAUTHENTICATED');

  // A refused request does not delay the next one.
  await addMembers(server, groupId, [linus]);
  expect(await startTyping(server, linus, groupId)).toBe(true);
  expect(eventOf(await reader.next('Typing')).userId).toBe(linus.userId);
});

test('typing is reported at most every three seconds per user and chat, by all nodes together', async () => {
  const chatId = await createGroup(ada, [grace, linus]);
  const anotherId = await createGroup(ada, [grace]);
  await using reader = await follow(server, grace);
  for (const node of [server, other, server, other]) expect(await startTyping(node, ada, chatId)).toBe(true);
  // The server still reports typing by other users and in other chats.
  await startTyping(other, linus, chatId);
  await startTyping(other, ada, anotherId);
  const first = await reader.next('Typing');
  expect(eventOf(first)).toMatchObject({ chatId, userId: ada.userId });
  expect(eventOf(await reader.next())).toMatchObject({ chatId, userId: linus.userId });
  expect(eventOf(await reader.next())).toMatchObject({ chatId: anotherId, userId: ada.userId });
  expect(await readToNow(reader, server, chatId)).toEqual([]);

  // Ada continues to type, and her requests go alternately to the two nodes.
  let turn = 0;
  const keys = setInterval(() => void startTyping((turn += 1) % 2 === 0 ? server : other, ada, chatId), 50);
  const again = await reader.next('Typing').finally(() => clearInterval(keys));
  expect(eventOf(again)).toMatchObject({ chatId, userId: ada.userId });
  const passedMs = Date.parse(envelopeOf(again).at) - Date.parse(envelopeOf(first).at);
  // Both reports may be late on a busy machine. If each node limited the rate separately, a report would arrive after
  // 2.5 s.
  expect(passedMs).toBeGreaterThan(2_700);
  expect(passedMs).toBeLessThan(5_000);
});

test('a member who was added just before receives typing', async () => {
  await using reader = await follow(server, grace);
  await using elsewhere = await follow(other, grace);
  for (let round = 0; round < rounds(8, 20); round += 1) {
    const chatId = await createGroup(ada, [grace], `group ${round}`);
    expect(await startTyping(server, ada, chatId)).toBe(true);
    for (const stream of [reader, elsewhere]) await stream.next(matching({ __typename: 'Typing', chatId }));
  }
});

test('a member who was removed just before does not receive typing', async () => {
  const barrierId = await createGroup(ada, [grace]);
  await using reader = await follow(server, grace);
  const chatIds: string[] = [];
  for (let round = 0; round < rounds(8, 20); round += 1)
    chatIds.push(await createGroup(ada, [grace, linus], `group ${round}`));
  await reader.until(matching({ __typename: 'NewChat', chat: { id: chatIds.at(-1) } }));
  await using witness = await follow(server, linus);
  for (const chatId of chatIds) {
    await removeMember(server, chatId, grace);
    await startTyping(server, ada, chatId);
    await witness.next(matching({ __typename: 'Typing', chatId }));
  }
  const kinds = await readToNow(reader, server, barrierId);
  expect(kinds).toEqual(chatIds.map(() => 'RemoveFromChat'));
});

test('typing of a user who was inserted with SQL is reported like any other’s', async () => {
  const chatId = await createGroup(ada, [grace]);
  await using reader = await follow(server, grace);
  await server.sql.query(`select pg_notify('parley_typing', $1 || '.' || $2)`, [keyOf(chatId), keyOf(ada.userId)]);
  expect(eventOf(await reader.next('Typing')).chatId).toBe(chatId);
  // Nodes ignore an invalid payload, and continue to work.
  for (const payload of ['', 'x', '1', '1.2.3', '1e3.4', `${'9'.repeat(30)}.1`]) {
    await server.sql.query(`select pg_notify('parley_typing', $1)`, [payload]);
  }
  expect(await readToNow(reader, server, chatId)).toEqual([]);
});
