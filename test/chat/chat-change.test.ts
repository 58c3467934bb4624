import { beforeAll, expect, test } from 'vitest';
import { addMembers, createChat, heardBy, keyOf, say } from '../support/chat.ts';
import { type Data, type Person, type Variables, signUpAll } from '../support/client.ts';
import {
  addPeople,
  contentsIn,
  deleteChat,
  joinChat,
  removePerson,
  rolesIn,
  updateChat,
} from '../support/membership.ts';
import { editMessage } from '../support/message.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { eventOf, followChat, followEvents, readMissed } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

const types = ['GROUP', 'PRIVATE_CHANNEL', 'PUBLIC_CHANNEL'];

/** Creates a chat with Ada and Grace. */
async function create(type: string): Promise<string> {
  const input = { type, name: 'as it was', description: 'in the beginning', memberIds: [grace.userId] };
  return (await createChat(ada, input)).id;
}

const kindsOf = (events: Data[]) => events.map(({ __typename }) => __typename);

// updateChat ----------------------------------------------------------------------------------------------------------

test.each(types)('an update of a %s changes the given fields, and every member receives it', async (type) => {
  const chat = await create(type);
  await using stream = await followEvents(otherNode, grace);
  expect(await updateChat(ada, chat, { name: '  as it is \n' })).toMatchObject({
    __typename: 'Chat',
    name: 'as it is',
    description: 'in the beginning',
    type,
  });
  expect(await updateChat(ada, chat, { description: ' now\r\n' })).toMatchObject({
    name: 'as it is',
    description: 'now',
  });
  expect(await updateChat(ada, chat, { description: null })).toMatchObject({ name: 'as it is', description: null });
  const changed = { __typename: 'ChatUpdated', chat: { id: chat, name: 'as it is' } };
  expect(await heardBy(grace, stream)).toMatchObject([changed, changed, changed]);
  const seen = await grace.ask('query ($id: ID!) { chat(id: $id) { name description } }', { id: chat });
  expect(seen).toEqual({ chat: { name: 'as it is', description: null } });
});

test('an update that changes nothing is not delivered', async () => {
  const chat = await create('GROUP');
  await using stream = await followEvents(server, grace);
  for (const change of [{}, { name: 'as it was' }, { type: 'GROUP' }, { type: null }]) {
    expect(await updateChat(ada, chat, change)).toMatchObject({ __typename: 'Chat', name: 'as it was', type: 'GROUP' });
  }
  await updateChat(ada, chat, { name: 'as it is' });
  expect(kindsOf(await heardBy(grace, stream))).toEqual(['ChatUpdated']);
});

test('a group’s name can be removed, a channel’s cannot', async () => {
  expect(await updateChat(ada, await create('GROUP'), { name: null })).toMatchObject({
    __typename: 'Chat',
    name: null,
    description: 'in the beginning',
  });
  for (const type of ['PRIVATE_CHANNEL', 'PUBLIC_CHANNEL']) {
    const chat = await create(type);
    expect(await updateChat(ada, chat, { name: null })).toMatchObject({
      __typename: 'InvalidInput',
      fields: [{ path: ['name'], message: 'a channel must have a name' }],
    });
    expect(await updateChat(ada, chat, {})).toMatchObject({ name: 'as it was' });
    expect(await updateChat(ada, chat, { name: null, type: 'GROUP' })).toMatchObject({ name: null, type: 'GROUP' });
  }
});

test.each(types.flatMap((from) => types.map((to) => [from, to])))('a %s turns into a %s', async (from, to) => {
  const chat = await create(from);
  expect(await updateChat(ada, chat, { type: to })).toMatchObject({ __typename: 'Chat', type: to, name: 'as it was' });
  expect(await rolesIn(chat, grace)).toEqual({ ada: 'OWNER', grace: 'MEMBER' });
});

test('a group without a name needs one to become a channel', async () => {
  const chat = await create('GROUP');
  await updateChat(ada, chat, { name: null });
  for (const type of ['PRIVATE_CHANNEL', 'PUBLIC_CHANNEL']) {
    expect(await updateChat(ada, chat, { type })).toMatchObject({
      __typename: 'InvalidInput',
      fields: [{ path: ['name'] }],
    });
  }
  const named = await updateChat(ada, chat, { type: 'PUBLIC_CHANNEL', name: 'found' });
  expect(named).toMatchObject({ __typename: 'Chat', type: 'PUBLIC_CHANNEL', name: 'found' });
});

test('no chat can become a single chat', async () => {
  for (const type of types) {
    const chat = await create(type);
    expect(await updateChat(ada, chat, { type: 'SINGLE', name: null, description: null })).toMatchObject({
      __typename: 'InvalidInput',
      fields: [{ path: ['type'] }],
    });
    expect(await updateChat(ada, chat, {})).toMatchObject({ type, name: 'as it was' });
  }
});

test('the error names what is refused, and nothing changes', async () => {
  const chat = await create('GROUP');
  const refused: [Variables, string[]][] = [
    [{ name: '' }, ['name']],
    [{ name: ' \t ' }, ['name']],
    [{ name: 'x'.repeat(65), description: 'fine' }, ['name']],
    [{ name: 'two\nlines' }, ['name']],
    [{ description: '' }, ['description']],
    [{ description: 'x'.repeat(1_001), name: 'fine' }, ['description']],
    [{ name: 'a\u0007b', description: 'a\u0007b', type: 'PUBLIC_CHANNEL' }, ['name', 'description']],
  ];
  for (const [change, paths] of refused) {
    const outcome = await updateChat(ada, chat, change);
    expect(outcome).toMatchObject({ __typename: 'InvalidInput' });
    expect(outcome.fields.map(({ path }: Data) => path.join('.'))).toEqual(paths);
  }
  expect(await updateChat(ada, chat, {})).toMatchObject({
    name: 'as it was',
    description: 'in the beginning',
    type: 'GROUP',
  });
});

test.each(['GROUP', 'PRIVATE_CHANNEL'])(
  'readers who are not members lose a public channel that turns into a %s',
  async (type) => {
    const channel = await create('PUBLIC_CHANNEL');
    await say(ada, channel, 'to all');
    await using reader = await followChat(otherNode, linus, channel);
    await using member = await followChat(otherNode, grace, channel);
    expect(await contentsIn(channel, linus)).toEqual(['to all']);
    const cursor = reader.cursor;

    await updateChat(ada, channel, { type });
    await say(ada, channel, 'among us');
    const ended = await reader.ended();
    expect(ended.slice(0, -2).map(eventOf)).toMatchObject([{ __typename: 'ChatUpdated', chat: { type } }]);
    expect(ended.at(-2)).toMatchObject({ event: 'next', data: { errors: [{ extensions: { code: 'NOT_FOUND' } }] } });
    expect(ended.at(-1)).toMatchObject({ event: 'complete' });
    expect((await member.until('NewMessage')).map(eventOf)).toMatchObject([
      { __typename: 'ChatUpdated' },
      { __typename: 'NewMessage', message: { content: 'among us' } },
    ]);

    expect(await linus.ask('query ($id: ID!) { chat(id: $id) { id } }', { id: channel })).toEqual({ chat: null });
    expect(await joinChat(linus, channel)).toMatchObject({ __typename: 'NotFound' });
    const missed = (await readMissed(server, linus, cursor)).map(eventOf);
    expect(kindsOf(missed)).toEqual(['CaughtUp']);
  },
);

test('a channel that becomes public is open to everyone, from its beginning', async () => {
  const channel = await create('PRIVATE_CHANNEL');
  const old = await say(ada, channel, 'before');
  await addPeople(ada, channel, [linus.userId], 'FROM_NOW');
  await removePerson(ada, channel, grace.userId);
  expect(await contentsIn(channel, linus)).toEqual([]);
  await using newcomer = await followEvents(otherNode, linus);
  await editMessage(ada, old, 'edited in private');
  await updateChat(ada, channel, { type: 'PUBLIC_CHANNEL' });
  await editMessage(ada, old, 'edited in public');
  // Linus can read the content that everyone can read, and receives events about it both on a new stream and on the
  // stream that was already open.
  expect(await contentsIn(channel, linus)).toEqual(['edited in public']);
  expect(await contentsIn(channel, grace)).toEqual(['edited in public']);
  const { cursor } = newcomer;
  expect(kindsOf(await heardBy(linus, newcomer))).toEqual(['ChatUpdated', 'MessageEdited']);
  const missed = kindsOf((await readMissed(server, linus, cursor)).map(eventOf));
  expect(missed).toContain('MessageEdited');
  // Once the channel is private again, Linus no longer sees what was hidden from him before it became public, not even
  // on the stream that stayed open.
  await updateChat(ada, channel, { type: 'PRIVATE_CHANNEL' });
  await editMessage(ada, old, 'edited in private again');
  await say(ada, channel, 'after');
  expect(await contentsIn(channel, linus)).toEqual(['after']);
  expect(await contentsIn(channel, ada)).toEqual(['edited in private again', 'after']);
  const stay = newcomer.cursor;
  expect(kindsOf(await heardBy(linus, newcomer))).toEqual(['ChatUpdated', 'NewMessage']);
  const read = kindsOf((await readMissed(server, linus, stay)).map(eventOf)).filter((kind) => kind !== 'NewChat');
  expect(read).toEqual(['ChatUpdated', 'NewMessage', 'CaughtUp']);
});

test('a stream that opens while a channel becomes public delivers changes of old messages from then on', async () => {
  for (let round = 0; round < 10; round += 1) {
    const channel = await create('PRIVATE_CHANNEL');
    const old = await say(ada, channel, 'before');
    await addMembers(server, channel, [linus], 2);
    const [, stream] = await Promise.all([
      updateChat(ada, channel, { type: 'PUBLIC_CHANNEL' }),
      followEvents(otherNode, linus),
    ]);
    await using open = stream;
    await editMessage(ada, old, 'edited');
    expect(kindsOf(await heardBy(linus, open))).toContain('MessageEdited');
  }
});

// deleteChat ----------------------------------------------------------------------------------------------------------

test.each(types)('a deleted %s is gone with all its contents, and its deletion is the only event', async (type) => {
  const chat = await create(type);
  const message = await say(ada, chat, 'soon gone');
  await say(grace, chat, 'me too', { replyToId: message });
  await using stream = await followEvents(otherNode, grace);
  await using chatStream = await followChat(otherNode, grace, chat);
  await using stranger = await followEvents(otherNode, linus);
  const { cursor } = stream;
  expect(await deleteChat(ada, chat)).toEqual({ __typename: 'ChatGone', chatId: chat });
  const deleted = { __typename: 'ChatDeleted', chatId: chat };
  expect(await heardBy(grace, stream)).toEqual([deleted]);
  expect((await chatStream.ended()).slice(0, -2).map(eventOf)).toEqual([deleted]);
  expect(await heardBy(linus, stranger)).toEqual([]);
  const missed = (await readMissed(server, grace, cursor)).map(eventOf);
  expect(missed.filter(({ __typename }) => __typename !== 'NewChat')).toMatchObject([
    deleted,
    { __typename: 'CaughtUp' },
  ]);

  const query = 'query ($chat: ID!, $message: ID!) { chat(id: $chat) { id } node(id: $message) { id } }';
  for (const person of [ada, grace]) {
    expect(await person.ask(query, { chat, message })).toEqual({ chat: null, node: null });
    expect(await deleteChat(person, chat)).toMatchObject({ __typename: 'NotFound' });
  }
  for (const table of ['messages', 'members']) {
    expect((await server.sql.query(`select from ${table} where chat_id = $1`, [keyOf(chat)])).rowCount).toBe(0);
  }
});
