import { beforeAll, expect, test } from 'vitest';
import { maxPins } from '../../src/message/pin.ts';
import { encodeId } from '../../src/core/id.ts';
import {
  addMembers,
  createChat,
  createGroup,
  createPublicChannel,
  heardBy,
  keyOf,
  removeMember,
  say,
} from '../support/chat.ts';
import { type Data, type Person, signUp, signUpAll } from '../support/client.ts';
import {
  deleteMessage,
  editMessage,
  messageEventsDocument,
  onNode,
  pinMessage,
  setRole,
  unpinMessage,
} from '../support/message.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { recordStatements } from '../support/statements.ts';
import { eventOf, followEvents, matching, readMissed } from '../support/stream.ts';

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

const follow = (person: Person) => followEvents(server, person, { document: messageEventsDocument });
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

/** Returns the seqs of the pinned messages of a chat, newest pin first, as a user sees them. */
async function pinnedIn(chat: string, by: Person): Promise<number[]> {
  const document = 'query ($id: ID!) { chat(id: $id) { pinnedMessages { seq } } }';
  return (await by.ask(document, { id: chat })).chat.pinnedMessages.map(({ seq }: Data) => seq);
}

/** Creates a group with `length` messages, and returns the ids of the messages. */
async function createConversation(length: number): Promise<{ chat: string; ids: string[] }> {
  const chat = await createGroup(ada, [grace]);
  const { rows } = await server.sql.query(
    `insert into messages (chat_id, sender_id, content)
    select $1, $2, 'message ' || n from generate_series(1, $3) n returning id`,
    [keyOf(chat), keyOf(ada.userId), length],
  );
  return { chat, ids: rows.map(({ id }) => encodeId('Message', id)) };
}

async function pinAll(chat: string, last: number): Promise<void> {
  await server.sql.query('insert into pins (chat_id, seq) select $1, n from generate_series(1, $2) n', [
    keyOf(chat),
    last,
  ]);
}

test('a chat lists its pinned messages, newest pin first', async () => {
  const { chat, ids } = await createConversation(3);
  expect(await pinMessage(ada, ids[1] ?? '')).toMatchObject({ __typename: 'Message', seq: 2, content: 'message 2' });
  await pinMessage(ada, ids[2] ?? '');
  await pinMessage(grace, ids[0] ?? '');
  expect(await pinnedIn(chat, ada)).toEqual([1, 3, 2]);
  // Pinning a message again does not change the position of its pin.
  expect(await pinMessage(grace, ids[1] ?? '')).toMatchObject({ __typename: 'Message' });
  expect(await pinnedIn(chat, grace)).toEqual([1, 3, 2]);
  expect(await unpinMessage(grace, ids[2] ?? '')).toMatchObject({ __typename: 'Message', seq: 3 });
  expect(await unpinMessage(grace, ids[2] ?? '')).toMatchObject({ __typename: 'Message', seq: 3 });
  expect(await pinnedIn(chat, ada)).toEqual([1, 2]);
});

test('a pinned message shows its current content, until it is deleted', async () => {
  const { chat, ids } = await createConversation(2);
  for (const id of ids) await pinMessage(ada, id);
  await editMessage(ada, ids[0] ?? '', 'edited');
  const document = 'query ($id: ID!) { chat(id: $id) { pinnedMessages { content } } }';
  const contents = async () => (await grace.ask(document, { id: chat })).chat.pinnedMessages;
  expect(await contents()).toEqual([{ content: 'message 2' }, { content: 'edited' }]);
  await deleteMessage(ada, ids[1] ?? '');
  expect(await contents()).toEqual([{ content: 'edited' }]);
  expect(await pinMessage(ada, ids[1] ?? '')).toMatchObject({ __typename: 'NotFound' });
});

test('the members receive each pin and unpin, and nothing if nothing changes', async () => {
  const { chat, ids } = await createConversation(1);
  await using adas = await follow(ada);
  await using graces = await follow(grace);
  await using linuses = await follow(linus);
  const [id = ''] = ids;
  await pinMessage(ada, id);
  await pinMessage(grace, id);
  await unpinMessage(onNode(otherNode, grace), id);
  await unpinMessage(ada, id);
  const event = { __typename: 'PinsChanged', message: { seq: 1, content: 'message 1' } };
  const events = [
    { ...event, pinned: true },
    { ...event, pinned: false },
  ];
  expect(await heardBy(ada, adas)).toEqual(events);
  expect(await heardBy(grace, graces)).toEqual(events);
  expect(await heardBy(linus, linuses)).toEqual([]);
  await pinAll(chat, 1);
  expect(await heardBy(grace, graces)).toEqual([{ ...event, pinned: true }]);
});

test.each([
  ['GROUP', 'OWNER', 'Message'],
  ['GROUP', 'ADMIN', 'Message'],
  ['GROUP', 'MEMBER', 'Message'],
  ['PRIVATE_CHANNEL', 'OWNER', 'Message'],
  ['PRIVATE_CHANNEL', 'ADMIN', 'Message'],
  ['PRIVATE_CHANNEL', 'MEMBER', 'Forbidden'],
  ['PUBLIC_CHANNEL', 'OWNER', 'Message'],
  ['PUBLIC_CHANNEL', 'ADMIN', 'Message'],
  ['PUBLIC_CHANNEL', 'MEMBER', 'Forbidden'],
])('in a %s, a user who is %s pins and unpins: %s', async (type, role, expected) => {
  const { id: chat } = await createChat(ada, { type, name: 'a chat', memberIds: [grace.userId, linus.userId] });
  await setRole(server, chat, linus, role);
  const id = await say(grace, chat, 'to be pinned');
  expect(await pinMessage(linus, id)).toMatchObject({ __typename: expected });
  expect(await pinnedIn(chat, grace)).toEqual(expected === 'Message' ? [1] : []);
  await pinMessage(ada, id);
  expect(await unpinMessage(linus, id)).toMatchObject({ __typename: expected });
  expect(await pinnedIn(chat, grace)).toEqual(expected === 'Message' ? [] : [1]);
});

test('in a single chat both users can pin', async () => {
  const { id: chat } = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  const id = await say(grace, chat, 'remember the milk');
  expect(await pinMessage(ada, id)).toMatchObject({ __typename: 'Message' });
  expect(await unpinMessage(grace, id)).toMatchObject({ __typename: 'Message' });
  expect(await pinMessage(grace, id)).toMatchObject({ __typename: 'Message' });
  expect(await pinnedIn(chat, ada)).toEqual([1]);
});

test('a reader who is not a member sees the pins of a public channel, but cannot pin', async () => {
  const channel = await createPublicChannel(ada);
  const [one, other] = [await say(ada, channel, 'the rules'), await say(ada, channel, 'the exceptions')];
  await pinMessage(ada, one);
  expect(await pinnedIn(channel, linus)).toEqual([1]);
  expect(await pinMessage(linus, other)).toMatchObject({ __typename: 'Forbidden', code: 'FORBIDDEN' });
  expect(await unpinMessage(linus, one)).toMatchObject({ __typename: 'Forbidden' });
  expect(await pinnedIn(channel, ada)).toEqual([1]);
});

test('a user who pins a message that they can’t see gets the same answer as if it did not exist', async () => {
  const { chat, ids } = await createConversation(1);
  const missing = encodeId('Message', 2n ** 62n);
  const [id = ''] = ids;
  await pinMessage(ada, id);
  for (const change of [pinMessage, unpinMessage]) {
    const outcome = await change(linus, id);
    expect(outcome).toMatchObject({ __typename: 'NotFound', code: 'NOT_FOUND' });
    expect(outcome).toEqual(await change(linus, missing));
    await removeMember(server, chat, grace);
    expect(await change(grace, id)).toEqual(outcome);
    await addMembers(server, chat, [grace]);
  }
  expect(await pinnedIn(chat, ada)).toEqual([1]);
  expect(await pinMessage(ada, chat)).toMatchObject({ __typename: 'InvalidInput', fields: [{ path: ['messageId'] }] });
});

test('pinning requires a signed-in user', async () => {
  const { chat, ids } = await createConversation(1);
  for (const name of ['pinMessage', 'unpinMessage']) {
    const { errors } = await server.post(`mutation ($id: ID!) { ${name}(messageId: $id) { __typename } }`, {
      id: ids[0],
    });
    expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  }
  expect(await pinnedIn(chat, ada)).toEqual([]);
});

test('a chat has fifty pinned messages at most', async () => {
  const { chat, ids } = await createConversation(maxPins + 1);
  await pinAll(chat, maxPins - 1);
  expect(await pinMessage(ada, ids[maxPins - 1] ?? '')).toMatchObject({ __typename: 'Message' });
  expect(await pinMessage(ada, ids[maxPins] ?? '')).toMatchObject({
    __typename: 'InvalidInput',
    fields: [{ path: ['messageId'] }],
  });
  const byHand = server.sql.query('insert into pins (chat_id, seq) values ($1, $2)', [keyOf(chat), maxPins + 1]);
  await expect(byHand).rejects.toThrow('at most 50 pinned messages');
  expect(await pinMessage(ada, ids[0] ?? '')).toMatchObject({ __typename: 'Message' });
  expect(await pinnedIn(chat, ada)).toHaveLength(maxPins);
  await unpinMessage(ada, ids[0] ?? '');
  expect(await pinMessage(ada, ids[maxPins] ?? '')).toMatchObject({ __typename: 'Message' });
  const other = await createConversation(1);
  expect(await pinMessage(ada, other.ids[0] ?? '')).toMatchObject({ __typename: 'Message' });
});

test('of several concurrent pins that would be the fiftieth, on two nodes, one succeeds', async () => {
  for (const _ of upTo(5)) {
    const { chat, ids } = await createConversation(maxPins + 1);
    await pinAll(chat, maxPins - 1);
    const outcomes = await Promise.all([
      pinMessage(ada, ids[maxPins - 1] ?? ''),
      pinMessage(onNode(otherNode, grace), ids[maxPins] ?? ''),
    ]);
    expect(outcomes.filter(({ __typename }) => __typename === 'Message')).toHaveLength(1);
    expect(outcomes.filter(({ __typename }) => __typename === 'InvalidInput')).toHaveLength(1);
    expect(await pinnedIn(chat, ada)).toHaveLength(maxPins);
  }
});

test('a request that would pin the fifty-first message waits while psql pins the fiftieth', async () => {
  const { chat, ids } = await createConversation(maxPins + 2);
  await pinAll(chat, maxPins - 1);
  const [client, other] = await Promise.all([server.sql.connect(), server.sql.connect()]);
  await client.query('begin');
  const insert = 'insert into pins (chat_id, seq) values ($1, $2)';
  await client.query(insert, [keyOf(chat), maxPins]);
  const late = other.query(insert, [keyOf(chat), maxPins + 1]).then(
    () => 'pinned',
    ({ message }) => message,
  );
  const pinned = pinMessage(ada, ids[maxPins + 1] ?? '');
  // This statement uses another connection. By the time it is answered, the other statement has begun.
  await server.sql.query('select 1');
  await client.query('commit');
  expect(await late).toBe('a chat can have at most 50 pinned messages');
  for (const each of [client, other]) each.release();
  expect(await pinned).toMatchObject({ __typename: 'InvalidInput' });
  expect(await pinnedIn(chat, ada)).toHaveLength(maxPins);
});

test('a message that is pinned and deleted at the same time is not pinned', async () => {
  for (const _ of upTo(5)) {
    const { chat, ids } = await createConversation(1);
    const [id = ''] = ids;
    const [pinned] = await Promise.all([pinMessage(grace, id), deleteMessage(onNode(otherNode, ada), id)]);
    expect(['Message', 'NotFound']).toContain(pinned.__typename);
    expect(await pinnedIn(chat, ada)).toEqual([]);
  }
});

test('a pin cannot be updated, and pins cannot be truncated', async () => {
  const { chat } = await createConversation(2);
  await pinAll(chat, 1);
  const change = server.sql.query('update pins set seq = 2 where chat_id = $1', [keyOf(chat)]);
  await expect(change).rejects.toThrow('delete the row and insert another');
  await expect(server.sql.query('truncate pins')).rejects.toMatchObject({ code: '0A000' });
  expect(await pinnedIn(chat, ada)).toEqual([1]);
});

test('a newcomer can’t see pins of messages from before they joined, and receives nothing about them', async () => {
  const { chat, ids } = await createConversation(1);
  await addMembers(server, chat, [linus], 2);
  const recent = await say(ada, chat, 'recent');
  await using graces = await follow(grace);
  await using linuses = await follow(linus);
  const { cursor } = linuses;
  await pinMessage(ada, ids[0] ?? '');
  await pinMessage(ada, recent);
  const event = (seq: number) => ({ __typename: 'PinsChanged', message: { seq }, pinned: true });
  expect(await heardBy(grace, graces)).toMatchObject([event(1), event(2)]);
  expect(await heardBy(linus, linuses)).toMatchObject([event(2)]);
  const missed = await readMissed(server, linus, cursor, { document: messageEventsDocument });
  expect(missed.map(eventOf).filter(({ __typename }) => __typename === 'PinsChanged')).toMatchObject([event(2)]);
  expect(await pinnedIn(chat, grace)).toEqual([2, 1]);
  expect(await pinnedIn(chat, linus)).toEqual([2]);
  expect(await unpinMessage(linus, ids[0] ?? '')).toMatchObject({ __typename: 'NotFound' });
});

test('a member who is removed before a pin does not see it in an event from before their removal', async () => {
  const chat = await createGroup(ada, [grace, linus]);
  const document = `subscription { events { event {
    __typename ... on NewMessage { message { content chat { pinnedMessages { content } } } }
  } } }`;
  await using removed = await followEvents(server, linus, { document });
  await using remaining = await followEvents(server, grace, { document });
  const writer = await server.sql.connect();
  try {
    await writer.query('begin');
    await writer.query(`insert into messages (chat_id, sender_id, content) values ($1, $2, 'for all three')`, [
      ...[keyOf(chat), keyOf(ada.userId)],
    ]);
    await writer.query('delete from members where chat_id = $1 and user_id = $2', [keyOf(chat), keyOf(linus.userId)]);
    await writer.query('insert into pins (chat_id, seq) values ($1, 1)', [keyOf(chat)]);
    await writer.query('commit');
  } finally {
    writer.release();
  }
  const first = matching({ message: { content: 'for all three' } });
  expect(eventOf(await remaining.next(first)).message.chat.pinnedMessages).toEqual([{ content: 'for all three' }]);
  expect(eventOf(await removed.next(first)).message.chat.pinnedMessages).toEqual([]);
  await removed.next('RemoveFromChat');
});

test('the pins of twenty chats cost the same as those of one', async () => {
  const [few, many] = await Promise.all([signUp(server, 'few'), signUp(server, 'many')]);
  const make = async (person: Person) => {
    const chat = await createGroup(person, [ada]);
    for (const content of ['one', 'two', 'three']) await say(person, chat, content);
    await pinAll(chat, 3);
    await addMembers(server, chat, [linus], 2);
  };
  await make(few);
  await Promise.all(upTo(20).map(() => make(many)));
  const document = '{ viewer { chats(first: 50) { edges { node { pinnedMessages { id seq createdAt } } } } } }';
  const { viewer } = await many.ask(document);
  expect(viewer.chats.edges.map(({ node }: Data) => node.pinnedMessages.length)).toEqual(upTo(20).map(() => 3));
  const one = await recordStatements(server, () => few.ask(document));
  expect(await recordStatements(server, () => many.ask(document))).toEqual(one);
});
