import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { lists, encodeCursor } from '../../src/postgres/page.ts';
import { addMembers, createChat, createGroup, createPublicChannel, keyOf, say } from '../support/chat.ts';
import { signUp, type Data, type Person, type Variables } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await startServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

const pageInfo = 'pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';
const pageArguments = '$first: Int, $after: String, $last: Int, $before: String';
const passed = 'first: $first, after: $after, last: $last, before: $before';
const messagesQuery = `query ($id: ID!, ${pageArguments}) {
  chat(id: $id) { page: messages(${passed}) { edges { cursor node { seq content } } ${pageInfo} } }
}`;
const membersQuery = `query ($id: ID!, ${pageArguments}) {
  chat(id: $id) { page: members(${passed}) { edges { cursor node { user { username } } } ${pageInfo} } }
}`;
const chatsQuery = `query ($type: ChatType, ${pageArguments}) {
  viewer { page: chats(type: $type, ${passed}) { edges { cursor node { id name type } } ${pageInfo} } }
}`;
const aroundQuery = `query ($id: ID!, $seq: Int!, $countBefore: Int, $countAfter: Int) {
  chat(id: $id) {
    page: messagesAround(seq: $seq, countBefore: $countBefore, countAfter: $countAfter) { edges { node { seq } } ${pageInfo} }
  }
}`;

async function readPage(by: Person, document: string, variables: Variables): Promise<Data> {
  const { chat, viewer } = await by.ask(document, variables);
  return (chat ?? viewer).page;
}

const messagesOf = (id: string, page: Variables) => readPage(ada, messagesQuery, { id, ...page });
const placesOf = (page: Data): number[] => page.edges.map(({ node }: Data) => node.seq);
const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, index) => from + index);

/** Creates a group with `length` messages. */
async function createConversation(length: number): Promise<string> {
  const chat = await createGroup(ada, [grace]);
  await server.sql.query(
    `insert into messages (chat_id, sender_id, content) select $1, $2, 'message ' || n from generate_series(1, $3) n`,
    [keyOf(chat), keyOf(grace.userId), length],
  );
  return chat;
}

/** Reads the whole list in pages of `size`, forward or backward, and returns it in list order. */
async function walk(document: string, variables: Variables, size: number, isBackward: boolean): Promise<Data[]> {
  const pages: Data[][] = [];
  let cursor: string | null = null;
  for (;;) {
    const range = isBackward ? { last: size, before: cursor } : { first: size, after: cursor };
    const page = await readPage(ada, document, { ...variables, ...range });
    expect(page.edges.length).toBeLessThanOrEqual(size);
    expect(page.pageInfo.startCursor).toBe(page.edges[0]?.cursor ?? null);
    expect(page.pageInfo.endCursor).toBe(page.edges.at(-1)?.cursor ?? null);
    pages.push(page.edges.map(({ node }: Data) => node));
    if (!(isBackward ? page.pageInfo.hasPreviousPage : page.pageInfo.hasNextPage)) break;
    cursor = isBackward ? page.pageInfo.startCursor : page.pageInfo.endCursor;
  }
  return (isBackward ? pages.toReversed() : pages).flat();
}

test('messages come oldest first, fifty by default', async () => {
  const chat = await createConversation(60);
  const page = await messagesOf(chat, {});
  expect(placesOf(page)).toEqual(upTo(50));
  expect(page.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
  const newest = await messagesOf(chat, { last: 50 });
  expect(placesOf(newest)).toEqual(upTo(60, 11));
  expect(newest.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
  expect(placesOf(await messagesOf(chat, { first: 100 }))).toEqual(upTo(60));
});

test('a page lies between its cursors, and excludes their rows', async () => {
  const chat = await createConversation(10);
  const { edges } = await messagesOf(chat, {});
  const at = (seq: number): string => edges[seq - 1].cursor;
  const between = { after: at(2), before: at(8) };
  const first = await messagesOf(chat, { first: 3, ...between });
  expect(placesOf(first)).toEqual([3, 4, 5]);
  expect(first.pageInfo).toEqual({ hasNextPage: true, hasPreviousPage: true, startCursor: at(3), endCursor: at(5) });
  const last = await messagesOf(chat, { last: 3, ...between });
  expect(placesOf(last)).toEqual([5, 6, 7]);
  expect(last.pageInfo).toEqual({ hasNextPage: true, hasPreviousPage: true, startCursor: at(5), endCursor: at(7) });
  expect(placesOf(await messagesOf(chat, { first: 3, after: at(8) }))).toEqual([9, 10]);
  expect(placesOf(await messagesOf(chat, { last: 3, before: at(3) }))).toEqual([1, 2]);
  expect(placesOf(await messagesOf(chat, { first: 3, after: at(10) }))).toEqual([]);
  expect(placesOf(await messagesOf(chat, { first: 3, after: at(5), before: at(5) }))).toEqual([]);
});

test('an empty page says whether there are rows before or after it', async () => {
  const chat = await createConversation(1);
  const none = await messagesOf(chat, { first: 0 });
  expect(none).toEqual({
    edges: [],
    pageInfo: { hasNextPage: true, hasPreviousPage: false, startCursor: null, endCursor: null },
  });
  expect((await messagesOf(chat, { last: 0 })).pageInfo).toMatchObject({ hasPreviousPage: true });
  expect((await messagesOf(await createGroup(ada, [grace]), { first: 0 })).pageInfo).toMatchObject({
    hasNextPage: false,
  });
});

test('an impossible page is answered with BAD_REQUEST', async () => {
  const chat = await createConversation(2);
  const message = (await messagesOf(chat, { first: 1 })).edges[0].cursor;
  const other = (await readPage(ada, chatsQuery, { first: 1 })).edges[0].cursor;
  const member = (await readPage(ada, membersQuery, { id: chat, first: 1 })).edges[0].cursor;
  const overflowing = encodeCursor(lists.messages, [2n ** 63n]);
  const pages: Variables[] = [
    { first: 101 },
    { last: 101 },
    { first: -1 },
    { last: -1 },
    { first: 1, last: 1 },
    ...[
      other,
      member,
      overflowing,
      'nonsense',
      '',
      '0',
      Buffer.from('messages:1').toString('hex'),
      'x'.repeat(9_999),
    ].flatMap((cursor) => [{ after: cursor }, { before: cursor }]),
  ];
  for (const page of pages) {
    const { data, errors } = await ada.post(messagesQuery, { id: chat, ...page });
    expect(data?.chat ?? null).toBeNull();
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  }
  const overflowingTime = encodeCursor(lists.chats, [8_640_000_000_000_001n, 1n]);
  for (const after of [message, member, overflowingTime]) {
    const { errors } = await ada.post(chatsQuery, { after });
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  }
  const farAway = encodeCursor(lists.chats, [8_640_000_000_000_000n, 2n ** 63n - 1n]);
  expect((await readPage(ada, chatsQuery, { after: farAway })).edges.length).toBeGreaterThan(0);
  expect(placesOf(await messagesOf(chat, { before: encodeCursor(lists.messages, [2n ** 63n - 1n]) }))).toEqual([1, 2]);
});

test('pages stay as they are while new messages arrive and old ones are deleted', async () => {
  const chat = await createConversation(6);
  const first = await messagesOf(chat, { first: 2 });
  await server.sql.query('delete from messages where chat_id = $1 and seq in (2, 3)', [keyOf(chat)]);
  const second = await messagesOf(chat, { first: 2, after: first.pageInfo.endCursor });
  expect(placesOf(second)).toEqual([3, 4]);
  await say(ada, chat, 'a new one');
  const newest = await messagesOf(chat, { last: 2 });
  expect(placesOf(newest)).toEqual([6, 7]);
  await say(ada, chat, 'another one');
  await server.sql.query('delete from messages where chat_id = $1 and seq = 6', [keyOf(chat)]);
  expect(placesOf(await messagesOf(chat, { last: 2, before: newest.pageInfo.startCursor }))).toEqual([4, 5]);
  expect(placesOf(await messagesOf(chat, { first: 9, after: newest.pageInfo.endCursor }))).toEqual([8]);
});

test('pages of any size, in either direction, make up the whole list', async () => {
  const length = 12;
  const conversation = await createConversation(length);
  const crowd = await Promise.all(upTo(7).map((index) => signUp(server, `person-${index}`)));
  await addMembers(server, conversation, crowd);
  const { rows } = await server.sql.query('select username from users order by id');
  const everybody = rows.map(({ username }) => username);
  for (const index of upTo(5)) await createPublicChannel(ada, `channel ${index}`);
  // Chats with activity at the same instant are ordered by id.
  await server.sql.query(`update chats set last_activity_at = '2026-01-01' where name in ('channel 2', 'channel 3')`);
  const chats = await walk(chatsQuery, {}, 100, false);

  const size = fc.integer({ min: 1, max: length + 1 });
  await fc.assert(
    fc.asyncProperty(size, fc.boolean(), async (pageSize, isBackward) => {
      const messages = await walk(messagesQuery, { id: conversation }, pageSize, isBackward);
      expect(messages.map(({ seq }) => seq)).toEqual(upTo(length));
      const members = await walk(membersQuery, { id: conversation }, pageSize, isBackward);
      expect(members.map(({ user }) => user.username)).toEqual(everybody);
      expect(await walk(chatsQuery, {}, pageSize, isBackward)).toEqual(chats);
    }),
    { numRuns: 12 },
  );
});

test('a user’s chats are ordered by their latest activity, newest first, and can be filtered by type', async () => {
  const linus = await signUp(server, 'linus');
  const namesOf = async (page: Variables = {}) =>
    (await readPage(linus, chatsQuery, page)).edges.map(({ node }: Data) => node.name);
  expect(await namesOf()).toEqual([]);
  await createGroup(linus, [ada], 'first');
  const second = await createPublicChannel(linus, 'second');
  const third = await createGroup(ada, [linus], 'third');
  await createPublicChannel(ada, 'not his');
  expect(await namesOf()).toEqual(['third', 'second', 'first']);
  await say(linus, second, 'hello');
  expect(await namesOf()).toEqual(['second', 'third', 'first']);
  await say(ada, third, 'hello');
  expect(await namesOf()).toEqual(['third', 'second', 'first']);
  expect(await namesOf({ type: 'GROUP' })).toEqual(['third', 'first']);
  expect(await namesOf({ type: 'PUBLIC_CHANNEL', first: 1 })).toEqual(['second']);
  expect(await namesOf({ type: 'SINGLE' })).toEqual([]);
  await createChat(linus, { type: 'SINGLE', memberIds: [linus.userId] });
  expect(await namesOf({ type: 'SINGLE' })).toEqual([null]);
});

test('the messages around a seq are those on both sides of it', async () => {
  const chat = await createConversation(120);
  const around = (seq: number, sides: Variables = {}) => readPage(ada, aroundQuery, { id: chat, seq, ...sides });
  const middle = await around(50, { countBefore: 2, countAfter: 3 });
  expect(placesOf(middle)).toEqual([48, 49, 50, 51, 52, 53]);
  expect(middle.pageInfo).toMatchObject({ hasPreviousPage: true, hasNextPage: true });
  expect(placesOf(await around(60))).toEqual(upTo(85, 35));
  const start = await around(1, { countBefore: 5, countAfter: 1 });
  expect(placesOf(start)).toEqual([1, 2]);
  expect(start.pageInfo).toMatchObject({ hasPreviousPage: false, hasNextPage: true });
  const end = await around(120, { countBefore: 1, countAfter: 5 });
  expect(placesOf(end)).toEqual([119, 120]);
  expect(end.pageInfo).toMatchObject({ hasPreviousPage: true, hasNextPage: false });
  expect(placesOf(await around(7, { countBefore: 0, countAfter: 0 }))).toEqual([7]);
  expect(placesOf(await around(110, { countBefore: 100, countAfter: 100 }))).toEqual(upTo(120, 10));
  for (const nowhere of [0, -5, -(2 ** 31)])
    expect(placesOf(await around(nowhere, { countAfter: 2 }))).toEqual([1, 2, 3]);
  expect(placesOf(await around(2 ** 31 - 1, { countBefore: 2 }))).toEqual([119, 120]);

  const goOn = await messagesOf(chat, { last: 2, before: middle.pageInfo.startCursor });
  expect(placesOf(goOn)).toEqual([46, 47]);
});

test('a request for more than a hundred messages around a seq is refused', async () => {
  const chat = await createConversation(1);
  for (const sides of [{ countBefore: 101 }, { countAfter: 101 }, { countBefore: -1 }, { countAfter: -1 }]) {
    const { errors } = await ada.post(aroundQuery, { id: chat, seq: 1, ...sides });
    const [name] = Object.keys(sides);
    expect(errors).toMatchObject([{ message: `${name}: must be from 0 to 100`, extensions: { code: 'BAD_REQUEST' } }]);
  }
});
