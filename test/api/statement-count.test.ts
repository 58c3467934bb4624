import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { addMembers, createChat, createGroup, createPublicChannel, keyOf, say } from '../support/chat.ts';
import { setAvatar, uploadPicture } from '../support/avatar.ts';
import { signUp, type Data, type Person, type Variables } from '../support/client.ts';
import { awaitIndex } from '../support/search.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { recordStatements } from '../support/statements.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await startServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

const member = 'id role joinedAt mutedUntil lastReadSeq unreadCount chat { id name memberCount } user { id username }';
const message = `id seq content viewerCan sender { id username } chat { id name }
  replyTo { id content sender { username } replyTo { id sender { username } } }`;

/** The maximum number of depths at which any of these documents loads rows of the same kind. */
const maxDepths = 4;

/**
 * Returns the distinct statements of one operation, and checks that none of them is repeated for each row. A loader
 * runs once for each depth at which its keys become known. It runs less often if the keys of several depths become
 * known together, which depends on the order of the answers.
 */
async function costOf(by: Person, document: string, variables: Variables = {}): Promise<Set<string>> {
  const statements = await recordStatements(server, () => by.ask(document, variables));
  expect(statements.length).toBeGreaterThan(0);
  const counts = new Map<string, number>();
  for (const statement of statements.map(withoutLengths)) counts.set(statement, (counts.get(statement) ?? 0) + 1);
  expect(Math.max(...counts.values())).toBeLessThanOrEqual(maxDepths);
  return new Set(counts.keys());
}

/**
 * Rewrites Prisma's statements so that they are the same for lists of any length, because Prisma writes out the
 * elements of a list, as in `IN ($1,$2)`.
 */
function withoutLengths(statement: string): string {
  if (!statement.includes('"public"."')) return statement;
  return statement.replace(/ IN \([$\d,]+\)/g, ' IN (…)').replace(/\$\d+/g, '$');
}

/** Creates a group with `length` messages that reply to each other, with hidden history and a few members. */
async function createConversation(length: number): Promise<string> {
  const chat = await createGroup(ada, [grace]);
  await server.sql.query(
    `insert into messages (chat_id, sender_id, content, reply_to_seq)
    select $1, case when n % 2 = 0 then $2::bigint else $3 end, 'message ' || n, nullif(n - 1, 0) from generate_series(1, $4) n`,
    [keyOf(chat), keyOf(ada.userId), keyOf(grace.userId), length],
  );
  return chat;
}

/** Creates `count` users with unused names. */
async function createPeople(count: number): Promise<Person[]> {
  const { rows } = await server.sql.query(
    `insert into users (username, email)
    select name, name || '@example.com'
    from (select 'p' || nextval('event_ids') as name from generate_series(1, $1)) names returning id`,
    [count],
  );
  return rows.map(({ id }) => ({ ...ada, userId: encodeId('User', BigInt(id)) }));
}

test('a user’s chats, with everything that is shown of them, cost the same for one chat and for fifty', async () => {
  const [few, many] = await Promise.all([signUp(server, 'few'), signUp(server, 'many')]);
  const people = await createPeople(3);
  const latecomers = await createPeople(1);
  const make = async (person: Person) => {
    const chat = await createGroup(person, [ada, ...people]);
    await say(ada, chat, 'a reply', { replyToId: await say(person, chat, 'hello') });
    await addMembers(server, chat, latecomers, 3);
  };
  // Each of them also has a single chat.
  for (const person of [few, many]) await createChat(person, { type: 'SINGLE', memberIds: [ada.userId] });
  await make(few);
  await Promise.all(Array.from({ length: 50 }, () => make(many)));
  const document = `{
    viewer {
      eventCursor
      user { username }
      chats(first: 51) {
        edges {
          node {
            id type name lastSeq memberCount viewerCan lastActivityAt
            lastMessage { id viewerCan sender { id username } } peer { id username }
            members(first: 10) { edges { node { ${member} } } }
            messages(last: 2) { edges { node { ${message} } } }
            messagesAround(seq: 1, countBefore: 1, countAfter: 1) { edges { node { id sender { id } } } }
            viewerMembership { ${member} }
          }
        }
      }
    }
  }`;
  const { viewer } = await many.ask(document);
  expect(viewer.chats.edges).toHaveLength(51);
  expect(viewer.chats.edges[50].node.peer).toMatchObject({ username: 'ada' });
  expect(viewer.chats.edges[49].node.messages.edges[1].node.replyTo).toMatchObject({ content: 'hello' });
  const once = await costOf(few, document);
  expect(await costOf(many, document)).toEqual(once);
});

test('a page of messages costs the same for one and for fifty', async () => {
  const chat = await createConversation(60);
  const latecomers = await createPeople(1);
  const document = `query ($id: ID!, $last: Int!) {
    chat(id: $id) { messages(last: $last) { edges { node { ${message} } } } }
  }`;
  const once = await costOf(ada, document, { id: chat, last: 1 });
  expect(await costOf(ada, document, { id: chat, last: 50 })).toEqual(once);

  // If a member's history begins later, the server checks each reply, but still checks all replies in one statement.
  await addMembers(server, chat, latecomers, 61);
  const guarded = await costOf(ada, document, { id: chat, last: 1 });
  expect(await costOf(ada, document, { id: chat, last: 50 })).toEqual(guarded);
});

test('a page of members costs the same for one and for fifty', async () => {
  const channel = await createPublicChannel(ada);
  await addMembers(server, channel, await createPeople(60));
  const document = `query ($id: ID!, $first: Int!) {
    chat(id: $id) { members(first: $first) { edges { node { ${member} } } } }
  }`;
  const once = await costOf(grace, document, { id: channel, first: 1 });
  expect(await costOf(grace, document, { id: channel, first: 50 })).toEqual(once);
});

test.each(['Chat', 'Message', 'Member', 'User'])('fifty nodes cost the same as one: %s', async (type) => {
  const document = `query ($ids: [ID!]!) {
    nodes(ids: $ids) {
      id
      ... on Chat { name memberCount members(first: 3) { edges { node { ${member} } } } viewerMembership { ${member} } }
      ... on Message { ${message} }
      ... on Member { ${member} }
      ... on User { username }
    }
  }`;
  const chats = await Promise.all(Array.from({ length: 50 }, () => createConversation(3)));
  const keysOf: Record<string, string> = {
    Chat: 'select unnest($1::bigint[]) as key',
    Message: 'select id as key from messages where chat_id = any ($1) and seq = 3',
    Member: `select chat_id || '_' || user_id as key from members where chat_id = any ($1) and role = 'OWNER'`,
    User: 'select id as key from users where array_length($1::bigint[], 1) > 0 order by id desc limit 50',
  };
  const { rows } = await server.sql.query(keysOf[type] ?? '', [chats.map(keyOf)]);
  const ids = rows.map(({ key }) => encodeId(type, key));
  expect((await ada.ask(document, { ids })).nodes.filter((node: object | null) => node !== null)).toHaveLength(50);
  const once = await costOf(ada, document, { ids: ids.slice(0, 1) });
  expect(await costOf(ada, document, { ids })).toEqual(once);
});

test('a message costs the same to send with and without users to receive it', async () => {
  const [small, large] = await Promise.all([createGroup(ada, [grace]), createGroup(ada, [grace])]);
  await addMembers(server, large, await createPeople(50));
  const document = `mutation ($chatId: ID!) {
    sendMessage(input: { chatId: $chatId, content: "hello" }) { ... on Message { id seq sender { username } } }
  }`;
  const once = await costOf(ada, document, { chatId: small });
  expect(await costOf(ada, document, { chatId: large })).toEqual(once);
});

test('a chat costs the same to create with one other user and with fifty', async () => {
  const document = `mutation ($memberIds: [ID!]!) {
    createChat(input: { type: GROUP, memberIds: $memberIds }) { ... on Chat { id memberCount } }
  }`;
  const memberIds = (await createPeople(50)).map(({ userId }) => userId);
  const once = await costOf(ada, document, { memberIds: memberIds.slice(0, 1) });
  expect(await costOf(ada, document, { memberIds })).toEqual(once);
});

test('adding fifty users costs the same as adding one, and listing fifty public channels the same as listing one', async () => {
  const chats = await Promise.all(Array.from({ length: 50 }, () => createPublicChannel(ada)));
  const add = `mutation ($chatId: ID!, $userIds: [ID!]!) {
    addMembers(chatId: $chatId, userIds: $userIds) { ... on Chat { id memberCount } }
  }`;
  const userIds = (await createPeople(50)).map(({ userId }) => userId);
  const one = await costOf(ada, add, { chatId: chats[0], userIds: userIds.slice(0, 1) });
  expect(await costOf(ada, add, { chatId: chats[1], userIds })).toEqual(one);
  const list = `query ($first: Int!) {
    publicChannels(first: $first) {
      edges { node { name memberCount viewerMembership { ${member} } members(first: 3) { edges { node { ${member} } } } } }
    }
  }`;
  const once = await costOf(ada, list, { first: 1 });
  expect(await costOf(ada, list, { first: 50 })).toEqual(once);
});

test('read markers and presence cost the same to see in one chat and in fifty', async () => {
  const [few, many] = await Promise.all([signUp(server, 'reader-of-few'), signUp(server, 'reader-of-many')]);
  const people = await createPeople(3);
  const make = async (person: Person) => say(person, await createGroup(person, [ada, ...people]), 'hello');
  await make(few);
  await Promise.all(Array.from({ length: 50 }, () => make(many)));
  const document = `{
    viewer {
      unreadChatCount
      chats(first: 50) { edges { node {
        readBy(seq: 1, first: 5) { edges { node { lastReadSeq user { username } } } }
        viewerMembership { unreadCount unreadMentionCount notificationLevel }
        members(first: 5) { edges { node { user { presence { status lastSeenAt } } } } }
      } } }
    }
  }`;
  const { viewer } = await many.ask(document);
  expect(viewer.chats.edges).toHaveLength(50);
  expect(viewer.chats.edges[49].node.readBy.edges).toHaveLength(1);
  const once = await costOf(few, document);
  expect(await costOf(many, document)).toEqual(once);
});

test('listing fifty found messages, found users or blocked users costs the same as listing one', async () => {
  const people = await createPeople(50);
  await createConversation(60);
  await server.sql.query('insert into blocks (blocker_id, blocked_id) select $1, unnest($2::bigint[])', [
    keyOf(grace.userId),
    people.map(({ userId }) => keyOf(userId)),
  ]);
  const document = `query ($first: Int!) {
    searchMessages(query: "mess", first: $first) { edges { node { ${message} } } }
    users(search: "p", first: $first) { edges { node { username presence { status } } } }
    viewer { blockedUsers(first: $first) { edges { node { username presence { status } } } } }
  }`;
  await awaitIndex(server);
  const found = await grace.ask(document, { first: 50 });
  for (const { edges } of [found.searchMessages, found.users, found.viewer.blockedUsers])
    expect(edges).toHaveLength(50);
  const once = await costOf(grace, document, { first: 1 });
  expect(await costOf(grace, document, { first: 50 })).toEqual(once);
});

test('a chat list with last messages, unread counts, peers, members and pictures takes three statements', async () => {
  const linus = await signUp(server, 'listing');
  for (const type of ['GROUP', 'SINGLE'] as const) {
    const { id } = await createChat(linus, { type, memberIds: [ada.userId] });
    await say(ada, id, 'hello @listing');
  }
  await setAvatar(ada, await uploadPicture(server, ada));
  const user = 'id username avatar { id contentType }';
  const document = `{ viewer { chats(first: 20) { edges { node {
    id type name lastMessage { id content sender { id username } } peer { ${user} }
    viewerMembership { lastReadSeq unreadCount unreadMentionCount }
    members(first: 3) { edges { node { role user { ${user} } } } } } } } } }`;
  const { viewer } = await linus.ask(document);
  const picture = { id: expect.any(String), contentType: 'image/png' };
  expect(viewer.chats.edges.map(({ node }: Data) => node)).toMatchObject([
    {
      type: 'SINGLE',
      lastMessage: { content: 'hello @listing', sender: { username: 'ada' } },
      peer: { username: 'ada', avatar: picture },
      viewerMembership: { lastReadSeq: 0, unreadCount: 1, unreadMentionCount: 1 },
      members: { edges: [{ node: { user: { username: 'ada' } } }, { node: { user: { username: 'listing' } } }] },
    },
    { type: 'GROUP', lastMessage: { content: 'hello @listing' }, peer: null, viewerMembership: { unreadCount: 1 } },
  ]);
  expect(await recordStatements(server, () => linus.ask(document))).toHaveLength(3);
});

test('requests that arrive while others are being read share statements, and each gets its own answer', async () => {
  const people = await Promise.all(Array.from({ length: 20 }, (_, n) => signUp(server, `crowd${n}`)));
  const askAll = () =>
    Promise.all(
      people.map(async (person) => {
        const { viewer } = await person.ask('{ viewer { user { username } } }');
        expect(viewer.user.username).toBe(person.name);
      }),
    );
  await askAll();
  const statements = await recordStatements(server, askAll);
  expect(statements.length).toBeLessThanOrEqual(people.length / 2);
  // An object that one user cannot see is missing only from that user's answer.
  const chat = await createGroup(ada, [grace]);
  const [missing, found] = await Promise.all([
    people[0]?.ask('query ($id: ID!) { node(id: $id) { id } }', { id: chat }),
    grace.ask('query ($id: ID!) { node(id: $id) { id } }', { id: chat }),
  ]);
  expect([missing?.['node'], found['node']]).toEqual([null, { id: chat }]);
});
