import { beforeAll, expect, test } from 'vitest';
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
import { signUp, type Data, type Person } from '../support/client.ts';
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
  // Sign them up one after another, because readers are listed in the order of their ids.
  ada = await signUp(server, 'ada');
  grace = await signUp(server, 'grace');
  linus = await signUp(server, 'linus');
});

/** Moves a user's marker. Returns the whole result, including errors. */
async function markRead(by: Person, chatId: string, seq: number, rewind?: boolean): Promise<Data> {
  const document = `mutation ($chatId: ID!, $seq: Int!, $rewind: Boolean) {
    markRead(chatId: $chatId, seq: $seq, rewind: $rewind) {
      __typename
      ... on Error { code }
      ... on InvalidInput { fields { path } }
      ... on Member { lastReadSeq unreadCount }
    }
  }`;
  return (await by.ask(document, { chatId, seq, rewind })).markRead;
}

/** Returns how much of a chat a user has read, as the user sees it. */
async function readStateOf(by: Person, chatId: string): Promise<Data> {
  const data = await by.ask('query ($id: ID!) { chat(id: $id) { viewerMembership { lastReadSeq unreadCount } } }', {
    id: chatId,
  });
  return data.chat.viewerMembership;
}

/** Creates a group with Ada, Grace and Linus, in which Ada has sent `length` messages. */
async function createTalk(length: number): Promise<string> {
  const chat = await createGroup(ada, [grace, linus]);
  for (let count = 1; count <= length; count += 1) await say(ada, chat, `message ${count}`);
  return chat;
}

const moved = (lastReadSeq: number, unreadCount: number) => ({ __typename: 'Member', lastReadSeq, unreadCount });
const refused = { __typename: 'InvalidInput', code: 'INVALID_INPUT', fields: [{ path: ['seq'] }] };

test('messages of others are unread until they are marked', async () => {
  const chat = await createTalk(3);
  expect(await readStateOf(grace, chat)).toEqual({ lastReadSeq: 0, unreadCount: 3 });
  expect(await markRead(grace, chat, 2)).toEqual(moved(2, 1));
  expect(await readStateOf(grace, chat)).toEqual({ lastReadSeq: 2, unreadCount: 1 });
  expect(await readStateOf(linus, chat)).toEqual({ lastReadSeq: 0, unreadCount: 3 });
});

test('a marker moves back only when it is rewound, at most to the beginning', async () => {
  const chat = await createTalk(3);
  expect(await markRead(grace, chat, 3)).toEqual(moved(3, 0));
  expect(await markRead(grace, chat, 2)).toEqual(refused);
  expect(await markRead(grace, chat, 2, false)).toEqual(refused);
  expect(await readStateOf(grace, chat)).toMatchObject({ lastReadSeq: 3 });
  expect(await markRead(grace, chat, 3)).toEqual(moved(3, 0));
  expect(await markRead(grace, chat, 1, true)).toEqual(moved(1, 2));
  expect(await markRead(grace, chat, 0, true)).toEqual(moved(0, 3));
  expect(await markRead(grace, chat, 3, true)).toEqual(moved(3, 0));
});

test('a marker cannot be moved past the last message', async () => {
  const chat = await createTalk(1);
  expect(await markRead(grace, chat, 1)).toEqual(moved(1, 0));
  for (const seq of [2, 2 ** 31 - 1, -1]) expect(await markRead(grace, chat, seq, true)).toEqual(refused);
  expect(await markRead(grace, 'nonsense', 1)).toMatchObject({ fields: [{ path: ['chatId'] }] });
  expect(await readStateOf(grace, chat)).toMatchObject({ lastReadSeq: 1 });
  await expect(
    server.sql.query('update members set last_read_seq = 2 where chat_id = $1', [keyOf(chat)]),
  ).rejects.toThrow('a read marker cannot be past the end of its chat');
});

test('only a member can move their marker, and a hidden chat looks as if it did not exist', async () => {
  const chat = await createGroup(ada, [grace]);
  const channel = await createPublicChannel(ada);
  for (const id of [chat, channel]) {
    await say(ada, id, 'hello');
    expect(await markRead(ada, id, 1)).toMatchObject({ __typename: 'Member' });
  }
  const missing = await markRead(linus, encodeId('Chat', 2n ** 62n), 1);
  expect(missing).toEqual({ __typename: 'NotFound', code: 'NOT_FOUND' });
  for (const id of [chat, channel]) expect(await markRead(linus, id, 1)).toEqual(missing);

  await addMembers(server, channel, [linus]);
  expect(await markRead(linus, channel, 1)).toEqual(moved(1, 0));
  await removeMember(server, channel, linus);
  expect(await markRead(linus, channel, 1)).toEqual(missing);
});

test('moving a marker requires a signed-in user', async () => {
  const chat = await createTalk(1);
  const { errors } = await server.post('mutation ($id: ID!) { markRead(chatId: $id, seq: 1) { __typename } }', {
    id: chat,
  });
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});

test('a member who sends a message has read everything before it', async () => {
  const chat = await createTalk(3);
  await say(grace, chat, 'I see');
  expect(await readStateOf(grace, chat)).toEqual({ lastReadSeq: 4, unreadCount: 0 });
  expect(await markRead(grace, chat, 4)).toEqual(moved(4, 0));
  // A member's own messages are never unread, even when the marker is before them.
  expect(await markRead(grace, chat, 2, true)).toEqual(moved(2, 1));
});

test('of many concurrent calls of markRead, by many users on two nodes, each has its own outcome', async () => {
  const chats = await Promise.all(Array.from({ length: 5 }, () => createTalk(3)));
  const graceThere = {
    ...grace,
    ask: (document: string, variables = {}) => otherNode.ask(document, variables, grace.token),
  };
  const outcomes = await Promise.all(
    chats.flatMap((chat) => [
      markRead(grace, chat, 3),
      markRead(linus, chat, 2),
      markRead(ada, chat, 1),
      markRead(linus, chat, 9),
      markRead(graceThere, chat, 3),
      markRead(linus, encodeId('Chat', 2n ** 62n), 1),
    ]),
  );
  expect(outcomes).toEqual(
    chats.flatMap(() => [
      moved(3, 0),
      moved(2, 1),
      refused,
      refused,
      moved(3, 0),
      { __typename: 'NotFound', code: 'NOT_FOUND' },
    ]),
  );
});

test('a moved marker reaches the user’s own devices, and no one else', async () => {
  const chat = await createTalk(2);
  const document = `subscription ($after: String) { events(after: $after) { event {
    __typename
    ... on NewChat { chat { name } }
    ... on ReadMarkerMoved { member { lastReadSeq unreadCount chat { id } user { username } } }
  } } }`;
  await using laptop = await followEvents(server, grace, { document });
  await using phone = await followEvents(otherNode, grace, { document });
  await using others = await followEvents(server, ada, { document });
  await using inChat = await followChat(server, grace, chat, {
    document: document.replace(
      '($after: String) { events(',
      '($chatId: ID!, $after: String) { chatEvents(chatId: $chatId, ',
    ),
  });
  const told = (lastReadSeq: number, unreadCount: number) => ({
    __typename: 'ReadMarkerMoved',
    member: { lastReadSeq, unreadCount, chat: { id: chat }, user: { username: 'grace' } },
  });
  await markRead(grace, chat, 1);
  expect(eventOf(await laptop.next())).toEqual(told(1, 1));
  expect(eventOf(await phone.next())).toEqual(told(1, 1));
  expect(eventOf(await inChat.next())).toEqual(told(1, 1));
  await markRead(grace, chat, 1);
  await server.sql.query('update members set last_read_seq = 0 where chat_id = $1 and user_id = $2', [
    keyOf(chat),
    keyOf(grace.userId),
  ]);
  expect(await heardBy(grace, laptop)).toEqual([told(0, 2)]);
  expect(await heardBy(ada, others)).toEqual([]);
});

test('a user who was away receives the marker afterwards', async () => {
  const chat = await createTalk(2);
  const { viewer } = await grace.ask('{ viewer { eventCursor } }');
  await markRead(grace, chat, 2);
  const document = `subscription ($after: String) { events(after: $after) { cursor event {
    __typename
    ... on ReadMarkerMoved { member { lastReadSeq unreadCount } }
  } } }`;
  const missed = await readMissed(server, grace, viewer.eventCursor, { document });
  expect(missed.map(eventOf)).toEqual([
    { __typename: 'ReadMarkerMoved', member: { lastReadSeq: 2, unreadCount: 0 } },
    { __typename: 'CaughtUp' },
  ]);
  expect((await readMissed(server, ada, viewer.eventCursor, { document })).map(eventOf)).toEqual([
    { __typename: 'CaughtUp' },
  ]);
});

test('a user’s own message reports that it moved the marker', async () => {
  const chat = await createTalk(2);
  await using phone = await followEvents(server, grace);
  await say(grace, chat, 'mine');
  expect((await heardBy(grace, phone)).map(({ __typename }) => __typename)).toEqual(['NewMessage']);
});

test('small chats show who has read a message, and channels do not', async () => {
  const readers = async (by: Person, id: string, seq: number) => {
    const document = `query ($id: ID!, $seq: Int!) {
      chat(id: $id) { readBy(seq: $seq) { edges { node { user { username } lastReadSeq } } } }
    }`;
    const { chat } = await by.ask(document, { id, seq });
    return chat.readBy?.edges.map(({ node }: Data) => node.user.username) ?? null;
  };
  const chat = await createTalk(2);
  expect(await readers(ada, chat, 2)).toEqual(['ada']);
  await markRead(linus, chat, 1);
  await markRead(grace, chat, 2);
  expect(await readers(ada, chat, 2)).toEqual(['ada', 'grace']);
  expect(await readers(linus, chat, 1)).toEqual(['ada', 'grace', 'linus']);
  expect(await readers(linus, chat, 3)).toEqual([]);

  const { id: single } = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  await say(ada, single, 'between us');
  await markRead(grace, single, 1);
  expect(await readers(ada, single, 1)).toEqual(['ada', 'grace']);

  const channel = await createPublicChannel(ada);
  await say(ada, channel, 'to all');
  expect(await readers(ada, channel, 1)).toBeNull();
  expect(await readers(linus, channel, 1)).toBeNull();
  const { id: closed } = await createChat(ada, { type: 'PRIVATE_CHANNEL', name: 'closed', memberIds: [grace.userId] });
  expect(await readers(grace, closed, 1)).toBeNull();
});

test('the list of readers is paged', async () => {
  const chat = await createTalk(1);
  await markRead(grace, chat, 1);
  await markRead(linus, chat, 1);
  const document = `query ($id: ID!, $after: String, $before: String, $first: Int, $last: Int) {
    chat(id: $id) {
      readBy(seq: 1, first: $first, after: $after, last: $last, before: $before) {
        edges { node { user { username } } } pageInfo { endCursor startCursor hasNextPage hasPreviousPage }
      }
    }
  }`;
  const page = async (more: Record<string, unknown>) => (await ada.ask(document, { id: chat, ...more })).chat.readBy;
  const first = await page({ first: 2 });
  expect(first.edges.map(({ node }: Data) => node.user.username)).toEqual(['ada', 'grace']);
  expect(first.pageInfo.hasNextPage).toBe(true);
  const rest = await page({ first: 2, after: first.pageInfo.endCursor });
  expect(rest.edges.map(({ node }: Data) => node.user.username)).toEqual(['linus']);
  expect(rest.pageInfo.hasNextPage).toBe(false);
  const back = await page({ last: 1, before: rest.pageInfo.startCursor });
  expect(back.edges.map(({ node }: Data) => node.user.username)).toEqual(['grace']);
});

test('a newcomer has not read messages that are hidden from them, and does not see who has read them', async () => {
  const chat = await createGroup(ada, [grace]);
  await say(ada, chat, 'before');
  await addMembers(server, chat, [linus], 2);
  await say(ada, chat, 'after');
  await markRead(linus, chat, 2);
  const document = `query ($id: ID!) {
    chat(id: $id) {
      before: readBy(seq: 1) { edges { node { user { username } } } }
      after: readBy(seq: 2) { edges { node { user { username } } } }
    }
  }`;
  const seenBy = async (by: Person) => {
    const { chat: seen } = await by.ask(document, { id: chat });
    return [seen.before, seen.after].map(({ edges }) => edges.map(({ node }: Data) => node.user.username));
  };
  expect(await seenBy(ada)).toEqual([['ada'], ['ada', 'linus']]);
  expect(await seenBy(linus)).toEqual([[], ['ada', 'linus']]);
});
