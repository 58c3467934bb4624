import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import {
  addMembers,
  createChat,
  createGroup,
  createPublicChannel,
  keyOf,
  removeMember,
  say,
  sendMessage,
} from '../support/chat.ts';
import { type Data, type Person, signUpAll } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { chatEventsDocument, followChat, openStream } from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

/** Creates a chat with Ada and Grace, and one message from Ada. Linus is not a member of it. */
async function createHidden(type: string): Promise<{ chat: string; message: string; member: string }> {
  const name = type.endsWith('CHANNEL') ? 'hidden' : null;
  const { id: chat } = await createChat(ada, { type, name, memberIds: [grace.userId] });
  const message = await say(ada, chat, 'among us');
  return { chat, message, member: encodeId('Member', `${keyOf(chat)}_${keyOf(ada.userId)}`) };
}

/** Ids like those that `createHidden` returns, but of objects that do not exist. */
const missing = {
  chat: encodeId('Chat', 2n ** 62n),
  message: encodeId('Message', 2n ** 62n),
  member: encodeId('Member', `${2n ** 62n}_1`),
};

/** Returns everything that a user sees when they request these three objects in every possible way. */
async function lookAt({ chat, message, member }: typeof missing, by: Person): Promise<Data[]> {
  const seen = [
    await by.post('query ($id: ID!) { chat(id: $id) { id type name lastSeq memberCount viewerMembership { id } } }', {
      id: chat,
    }),
    await by.post(`query ($id: ID!) { chat(id: $id) { messages { edges { node { content } } } } }`, { id: chat }),
    await by.post(`query ($id: ID!) { chat(id: $id) { messagesAround(seq: 1) { edges { node { content } } } } }`, {
      id: chat,
    }),
    await by.post(`query ($id: ID!) { chat(id: $id) { members { edges { node { user { username } } } } } }`, {
      id: chat,
    }),
    await by.post(
      `query ($chat: ID!, $message: ID!, $member: ID!) {
        chat: node(id: $chat) { __typename id }
        message: node(id: $message) { __typename id }
        member: node(id: $member) { __typename id }
        all: nodes(ids: [$chat, $message, $member]) { __typename id }
      }`,
      { chat, message, member },
    ),
  ];
  const answers = seen.map(({ status, data, errors }) => ({ status, data, errors }));
  return [...answers, await sendMessage(by, chat, 'let me in'), await listen(chat, by)];
}

/** Returns all frames that a user who follows one chat receives until the server ends the stream. */
async function listen(chat: string, by: Person): Promise<Data> {
  await using stream = await openStream(server, by, chatEventsDocument, { variables: { chatId: chat } });
  return (await stream.ended()).map(({ event, data }) => ({ event, data }));
}

/** Returns the seqs, oldest first, of the messages that a user sees in a chat. */
async function placesSeen(chat: string, by: Person): Promise<number[]> {
  const data = await by.ask('query ($id: ID!) { chat(id: $id) { messages { edges { node { seq } } } } }', { id: chat });
  return data.chat.messages.edges.map(({ node }: Data) => node.seq);
}

test.each(['SINGLE', 'GROUP', 'PRIVATE_CHANNEL'])('to others, a %s looks as if it did not exist', async (type) => {
  const hidden = await createHidden(type);
  for (const member of [ada, grace]) {
    expect(await placesSeen(hidden.chat, member)).toEqual([1]);
    await using stream = await followChat(server, member, hidden.chat);
    expect(stream.frames).toHaveLength(1);
  }
  const seen = await lookAt(hidden, linus);
  expect(seen).toEqual(await lookAt(missing, linus));
  expect(seen[0]).toEqual({ status: 200, data: { chat: null }, errors: undefined });
  expect(seen[4]).toMatchObject({ data: { chat: null, message: null, member: null, all: [null, null, null] } });
  expect(seen[5]).toMatchObject({ __typename: 'NotFound' });
  expect(seen[6]).toMatchObject([
    { event: 'next', data: { errors: [{ extensions: { code: 'NOT_FOUND' } }] } },
    { event: 'complete', data: null },
  ]);
  expect(await placesSeen(hidden.chat, ada)).toEqual([1]);
});

test('only its members have a chat in their lists', async () => {
  const { chat } = await createHidden('GROUP');
  const listed = async (by: Person) =>
    (await by.ask('{ viewer { chats { edges { node { id } } } } }')).viewer.chats.edges.map(
      ({ node }: Data) => node.id,
    );
  expect(await listed(grace)).toContain(chat);
  expect(await listed(linus)).toEqual([]);
});

test('a hidden message can’t be replied to', async () => {
  const { message } = await createHidden('GROUP');
  const own = await createGroup(linus, [ada]);
  const toHidden = await sendMessage(linus, own, 'what was that', { replyToId: message });
  const toMissing = await sendMessage(linus, own, 'what was that', { replyToId: missing.message });
  expect(toHidden).toEqual(toMissing);
  expect(toHidden).toMatchObject({ __typename: 'InvalidInput', fields: [{ path: ['replyToId'] }] });
});

test('a former member no longer sees anything', async () => {
  const { chat, message, member } = await createHidden('PRIVATE_CHANNEL');
  expect(await placesSeen(chat, grace)).toEqual([1]);
  await removeMember(server, chat, grace);
  expect(await lookAt({ chat, message, member }, grace)).toEqual(await lookAt(missing, grace));
});

test('every signed-in user can read a public channel, and only its members can write in it', async () => {
  const channel = await createPublicChannel(ada);
  const message = await say(ada, channel, 'to all');
  const seen = await linus.ask(
    `query ($id: ID!, $message: ID!) {
      chat(id: $id) {
        name memberCount
        viewerMembership { id }
        messages { edges { node { content } } }
        members { edges { node { user { username } lastReadSeq unreadCount } } }
      }
      node(id: $message) { ... on Message { content } }
    }`,
    { id: channel, message },
  );
  expect(seen).toEqual({
    chat: {
      name: 'a public channel',
      memberCount: 1,
      viewerMembership: null,
      messages: { edges: [{ node: { content: 'to all' } }] },
      members: { edges: [{ node: { user: { username: 'ada' }, lastReadSeq: null, unreadCount: null } }] },
    },
    node: { content: 'to all' },
  });
  await using stream = await followChat(server, linus, channel);
  await say(ada, channel, 'to all who listen');
  await stream.next('NewMessage');

  expect(await sendMessage(linus, channel, 'me too')).toMatchObject({ __typename: 'Forbidden', code: 'FORBIDDEN' });
  expect(await placesSeen(channel, linus)).toEqual([1, 2]);
  await addMembers(server, channel, [linus]);
  expect(await sendMessage(linus, channel, 'me too')).toMatchObject({ __typename: 'Message', seq: 3 });
});

test('a signed-out client sees no chat, not even a public channel', async () => {
  const channel = await createPublicChannel(ada);
  const { data, errors } = await server.post('query ($id: ID!) { chat(id: $id) { name } }', { id: channel });
  expect(data).toEqual({ chat: null });
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  const found = await server.ask('query ($id: ID!) { node(id: $id) { id } }', { id: channel });
  expect(found).toEqual({ node: null });
});

test('a member’s read marker is private, except for receipts in small chats', async () => {
  const query = `query ($id: ID!) {
    chat(id: $id) { members { edges { node { user { username } lastReadSeq unreadCount } } } }
  }`;
  const seenBy = async (by: Person, id: string) =>
    Object.fromEntries(
      (await by.ask(query, { id })).chat.members.edges.map(({ node }: Data) => [
        node.user.username,
        [node.lastReadSeq, node.unreadCount],
      ]),
    );
  const group = await createGroup(ada, [grace]);
  await say(ada, group, 'one');
  expect(await seenBy(ada, group)).toEqual({ ada: [1, 0], grace: [0, null] });
  expect(await seenBy(grace, group)).toEqual({ ada: [1, null], grace: [0, 1] });
  const { chat: channel } = await createHidden('PRIVATE_CHANNEL');
  expect(await seenBy(grace, channel)).toEqual({ ada: [null, null], grace: [0, 1] });
});

test('a newcomer whose history begins later sees nothing from before that, whichever way they ask', async () => {
  const chat = await createGroup(ada, [grace]);
  const old = await say(ada, chat, 'before her time');
  const reply = await say(ada, chat, 'still before', { replyToId: old });
  await addMembers(server, chat, [linus], 3);
  const latest = await say(ada, chat, 'from then on', { replyToId: old });
  const query = `query ($id: ID!, $old: ID!, $reply: ID!, $latest: ID!) {
    chat(id: $id) {
      lastSeq
      messages { edges { node { seq content } } pageInfo { hasPreviousPage } }
      newest: messages(last: 1) { pageInfo { hasPreviousPage } }
      messagesAround(seq: 1) { edges { node { seq } } pageInfo { hasPreviousPage } }
      viewerMembership { unreadCount }
    }
    nodes(ids: [$old, $reply, $latest]) { ... on Message { seq replyTo { content } } }
  }`;
  const variables = { id: chat, old, reply, latest };
  expect(await linus.ask(query, variables)).toEqual({
    chat: {
      lastSeq: 3,
      messages: { edges: [{ node: { seq: 3, content: 'from then on' } }], pageInfo: { hasPreviousPage: false } },
      newest: { pageInfo: { hasPreviousPage: false } },
      messagesAround: { edges: [{ node: { seq: 3 } }], pageInfo: { hasPreviousPage: false } },
      viewerMembership: { unreadCount: 1 },
    },
    nodes: [null, null, { seq: 3, replyTo: null }],
  });
  expect(await sendMessage(linus, chat, 'about that', { replyToId: old })).toMatchObject({
    __typename: 'InvalidInput',
    fields: [{ path: ['replyToId'] }],
  });
  // The same query shows everything to the other members.
  const { nodes, chat: whole } = await grace.ask(query, variables);
  expect(nodes).toMatchObject([{ seq: 1 }, { seq: 2 }, { seq: 3, replyTo: { content: 'before her time' } }]);
  expect(whole).toMatchObject({
    newest: { pageInfo: { hasPreviousPage: true } },
    viewerMembership: { unreadCount: 3 },
  });
});
