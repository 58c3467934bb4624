import { beforeAll, expect, test } from 'vitest';
import { createChat, createGroup, createPublicChannel, heardBy, keyOf, say, sendMessage } from '../support/chat.ts';
import { signUpAll, type Data, type Person } from '../support/client.ts';
import { addPeople, joinChat, removePerson, rolesIn, setMemberRole } from '../support/membership.ts';
import { addReaction, onNode } from '../support/message.ts';
import { ban, bansOf, inMinutes, tryToJoin, unban } from '../support/moderation.ts';
import { awaitIndex } from '../support/search.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { eventOf, followChat, followEvents, openStream, chatEventsDocument, readMissed } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let hedy: Person;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  [ada, grace, linus, hedy] = await signUpAll(server, 'ada', 'grace', 'linus', 'hedy');
});

const types = ['GROUP', 'PRIVATE_CHANNEL', 'PUBLIC_CHANNEL'];

/** Creates a chat that Ada owns. Grace is an admin, Linus is a member, and Hedy isn't in it. */
async function create(type: string): Promise<string> {
  const { id } = await createChat(ada, { type, name: 'an order', memberIds: [grace.userId, linus.userId] });
  await setMemberRole(ada, id, grace.userId, 'ADMIN');
  return id;
}

const kindOf = (outcome: Data): string => outcome.__typename;
const strangerGets = (type: string) => (type === 'PUBLIC_CHANNEL' ? 'Forbidden' : 'NotFound');

async function chatSeenBy(by: Person, id: string): Promise<Data> {
  return (await by.ask('query ($id: ID!) { chat(id: $id) { name } node(id: $id) { id } }', { id })).chat;
}

// Who may do what -----------------------------------------------------------------------------------------------------

test.each(types)('owners can ban anyone from a %s, and admins plain members and others', async (type) => {
  const chat = await create(type);
  for (const [by, target, outcome] of [
    [linus, grace, 'Forbidden'],
    [linus, hedy, 'Forbidden'],
    [hedy, linus, strangerGets(type)],
    [grace, ada, 'Forbidden'],
    [grace, linus, 'Ban'],
    [grace, hedy, 'Ban'],
    [ada, grace, 'Ban'],
  ] as const) {
    expect([by.name, target.name, kindOf(await ban(by, chat, target.userId))]).toEqual([by.name, target.name, outcome]);
  }
  expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER' });
  for (const by of [linus, hedy]) expect(kindOf(await unban(by, chat, grace.userId))).toBe('NotFound');
  for (const { userId } of [grace, linus, hedy]) expect(kindOf(await unban(ada, chat, userId))).toBe('Chat');
  expect(await bansOf(ada, chat)).toEqual([]);
});

test('an owner can ban another owner, and one always remains', async () => {
  const chat = await create('GROUP');
  await setMemberRole(ada, chat, grace.userId, 'OWNER');
  const outcomes = await Promise.all([ban(ada, chat, grace.userId), ban(onNode(otherNode, grace), chat, ada.userId)]);
  expect(outcomes.map(kindOf).toSorted()).toEqual(['Ban', 'NotFound']);
  expect(Object.values(await rolesIn(chat, kindOf(outcomes[0]) === 'Ban' ? ada : grace))).toContain('OWNER');
});

test('no one can be banned from a single chat, and no one can ban themselves', async () => {
  const { id: single } = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  expect(await ban(ada, single, grace.userId)).toMatchObject({ __typename: 'Forbidden' });
  const bySql = server.sql.query(`insert into restrictions (chat_id, user_id, kind) values ($1, $2, 'BAN')`, [
    keyOf(single),
    keyOf(grace.userId),
  ]);
  await expect(bySql).rejects.toMatchObject({ code: '23514' });
  const chat = await create('GROUP');
  expect(await ban(ada, chat, ada.userId)).toMatchObject({ fields: [{ path: ['userId'], code: 'NOT_ALLOWED' }] });
});

test('a ban needs a known user, a time in the future and a readable reason', async () => {
  const chat = await create('GROUP');
  const unknown = Buffer.from('User:999999').toString('base64url');
  expect(await ban(ada, chat, unknown)).toMatchObject({ __typename: 'NotFound' });
  const fieldOf = async (input: { until?: Date; reason?: string }) =>
    (await ban(ada, chat, linus.userId, input)).fields?.[0];
  expect(await fieldOf({ until: inMinutes(-1) })).toMatchObject({ path: ['until'], code: 'NOT_ALLOWED' });
  expect(await fieldOf({ reason: 'x'.repeat(1_001) })).toMatchObject({ path: ['reason'], code: 'TOO_LONG' });
  expect(await fieldOf({ reason: 'a\u0000b' })).toMatchObject({ path: ['reason'], code: 'MALFORMED' });
  expect(await fieldOf({ reason: ' ' })).toMatchObject({ path: ['reason'], code: 'REQUIRED' });
  expect(await rolesIn(chat, ada)).toHaveProperty('linus');
});

test('bans are listed for those who may ban, newest first, and their nodes are hidden from everyone else', async () => {
  const chat = await create('PUBLIC_CHANNEL');
  const until = inMinutes(60);
  const { id } = await ban(grace, chat, linus.userId, { until, reason: 'Spam.' });
  await ban(ada, chat, hedy.userId);
  const listed = [
    { user: { username: 'hedy' }, until: null, reason: null, createdBy: { username: 'ada' } },
    { user: { username: 'linus' }, until: until.toISOString(), reason: 'Spam.', createdBy: { username: 'grace' } },
  ];
  for (const by of [ada, grace]) expect(await bansOf(by, chat)).toMatchObject(listed);
  // Banning a user who is already banned changes the end and the reason of the ban.
  expect(await ban(ada, chat, linus.userId, { reason: 'More spam.' })).toMatchObject({ id, until: null });
  expect(await bansOf(ada, chat)).toHaveLength(2);

  const document = 'query ($id: ID!) { node(id: $id) { __typename ... on Ban { reason } } }';
  const nodeFor = async (by: Person) => (await by.ask(document, { id })).node;
  for (const by of [ada, grace]) expect(await nodeFor(by)).toEqual({ __typename: 'Ban', reason: 'More spam.' });
  for (const by of [linus, hedy]) expect(await nodeFor(by)).toBeNull();
  await setMemberRole(ada, chat, grace.userId, 'MEMBER');
  expect(await nodeFor(grace)).toBeNull();
  expect(await bansOf(grace, chat)).toBeNull();
  await unban(ada, chat, linus.userId);
  expect(await nodeFor(ada)).toBeNull();
});

test('the list of bans is read in pages', async () => {
  const chat = await createGroup(ada, [grace]);
  for (const { userId } of [linus, hedy]) await ban(ada, chat, userId);
  const document = `query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {
    chat(id: $id) { bans(first: $first, after: $after, last: $last, before: $before) {
      edges { cursor node { user { username } } } pageInfo { hasNextPage hasPreviousPage }
    } }
  }`;
  const page = async (variables: Record<string, unknown>) =>
    (await ada.ask(document, { id: chat, ...variables })).chat.bans;
  const namesIn = ({ edges }: Data) => edges.map(({ node }: Data) => node.user.username);
  const first = await page({ first: 1 });
  expect([namesIn(first), first.pageInfo]).toEqual([['hedy'], { hasNextPage: true, hasPreviousPage: false }]);
  const second = await page({ first: 1, after: first.edges[0].cursor });
  expect([namesIn(second), second.pageInfo]).toEqual([['linus'], { hasNextPage: false, hasPreviousPage: true }]);
  expect(namesIn(await page({ last: 1 }))).toEqual(['linus']);
  expect(namesIn(await page({ last: 1, before: second.edges[0].cursor }))).toEqual(['hedy']);
});

// What a ban does -----------------------------------------------------------------------------------------------------

test.each(types)('a user who is banned from a %s can neither see it, join, be added nor write', async (type) => {
  const chat = await create(type);
  const message = await say(ada, chat, 'hello');
  expect(await chatSeenBy(linus, chat)).toEqual({ name: 'an order' });
  await ban(ada, chat, linus.userId, { until: inMinutes(60), reason: 'Spam.' });
  expect(await chatSeenBy(linus, chat)).toBeNull();
  expect(kindOf(await sendMessage(linus, chat, 'still here'))).toBe('NotFound');
  expect(kindOf(await addReaction(linus, message, '👍'))).toBe('NotFound');
  for (const by of [ada, grace]) {
    expect(await addPeople(by, chat, [hedy.userId, linus.userId])).toMatchObject({ __typename: 'Forbidden' });
  }
  const bySql = server.sql.query('insert into members (chat_id, user_id) values ($1, $2)', [
    keyOf(chat),
    keyOf(linus.userId),
  ]);
  await expect(bySql).rejects.toMatchObject({ constraint: 'a_banned_user_stays_out' });
  expect(kindOf(await joinChat(linus, chat))).toBe(strangerGets(type));

  await unban(ada, chat, linus.userId);
  expect(kindOf(await addPeople(ada, chat, [linus.userId]))).toBe('Chat');
  expect(await chatSeenBy(linus, chat)).toEqual({ name: 'an order' });
});

test('a banned user finds nothing of a public channel, wherever they look, and learns when and why', async () => {
  const name = 'the garden of names';
  const channel = await createPublicChannel(ada, name);
  const message = await say(ada, channel, 'the password is gooseberry');
  await awaitIndex(server);
  const look = async (by: Person) => {
    const { publicChannels, searchMessages, nodes } = await by.ask(
      `query ($ids: [ID!]!, $name: String!) {
        publicChannels(first: 100) { edges { node { name } } }
        found: publicChannels(search: $name) { edges { node { name } } }
        searchMessages(query: "gooseberry") { edges { node { content } } }
        nodes(ids: $ids) { id }
      }`,
      { ids: [channel, message], name },
    );
    return {
      isListed: publicChannels.edges.some(({ node }: Data) => node.name === name),
      found: searchMessages.edges.length,
      nodes: nodes.filter((node: Data) => node !== null).length,
    };
  };
  expect(await look(hedy)).toEqual({ isListed: true, found: 1, nodes: 2 });
  const until = inMinutes(60);
  await ban(ada, channel, hedy.userId, { until, reason: 'Spam.' });
  expect(await look(hedy)).toEqual({ isListed: false, found: 0, nodes: 0 });
  expect(await tryToJoin(hedy, channel)).toMatchObject({
    __typename: 'Forbidden',
    until: until.toISOString(),
    reason: 'Spam.',
  });
  expect(await look(linus)).toEqual({ isListed: true, found: 1, nodes: 2 });
});

test("a ban ends by the database's clock, and housekeeping removes what has ended", async () => {
  const channel = await createPublicChannel(ada);
  await ban(ada, channel, hedy.userId, { until: inMinutes(60) });
  expect(await chatSeenBy(hedy, channel)).toBeNull();
  await server.sql.query(
    `update restrictions set until = clock_timestamp() - interval '1 ms' where chat_id = $1 and user_id = $2`,
    [keyOf(channel), keyOf(hedy.userId)],
  );
  expect(await chatSeenBy(hedy, channel)).not.toBeNull();
  expect(await bansOf(ada, channel)).toEqual([]);
  expect(kindOf(await joinChat(hedy, channel))).toBe('Chat');
});

// Who receives it -----------------------------------------------------------------------------------------------------

test.each(types)('a member who is banned from a %s receives RemoveFromChat, and nothing after it', async (type) => {
  const chat = await create(type);
  await using member = await followEvents(server, ada);
  await using banned = await followEvents(otherNode, linus);
  await using follower = await followChat(otherNode, linus, chat);
  await say(ada, chat, 'before');
  await ban(grace, chat, linus.userId);
  await say(ada, chat, 'after');
  const removal = { __typename: 'RemoveFromChat', chatId: chat, userId: linus.userId };
  const kinds = [{ __typename: 'NewMessage' }, removal];
  expect(await heardBy(ada, member)).toMatchObject([...kinds, { __typename: 'NewMessage' }]);
  expect(await heardBy(onNode(otherNode, linus), banned)).toMatchObject(kinds);
  const frames = await follower.ended();
  expect(frames.slice(0, 2).map(eventOf)).toMatchObject(kinds);
  expect(frames.slice(2)).toMatchObject([
    { event: 'next', data: { errors: [{ extensions: { code: 'NOT_FOUND' } }] } },
    { event: 'complete' },
  ]);
});

test('the streams of a reader who is banned from a public channel end at the position of the ban in the log, on every node', async () => {
  const channel = await createPublicChannel(ada);
  await using here = await followChat(server, hedy, channel);
  await using there = await followChat(otherNode, hedy, channel);
  await using witness = await followChat(otherNode, linus, channel);
  await say(ada, channel, 'before');
  const cursor = (await witness.next('NewMessage')).id;
  await ban(ada, channel, hedy.userId);
  await say(ada, channel, 'after');
  await witness.next('NewMessage');
  for (const stream of [here, there]) {
    expect(await stream.ended()).toMatchObject([
      { event: 'next', data: { data: { chatEvents: { event: { message: { content: 'before' } } } } } },
      { event: 'next', data: { errors: [{ extensions: { code: 'NOT_FOUND' } }] } },
      { event: 'complete' },
    ]);
  }
  // A new stream ends in the same way, and does not deliver the events that Hedy missed.
  await using again = await openStream(server, hedy, chatEventsDocument, {
    variables: { chatId: channel, after: cursor },
  });
  expect(await again.ended()).toMatchObject([
    { event: 'next', data: { errors: [{ extensions: { code: 'NOT_FOUND' } }] } },
    { event: 'complete' },
  ]);
  await unban(ada, channel, hedy.userId);
  await using back = await followChat(otherNode, hedy, channel);
  await say(ada, channel, 'welcome back');
  await back.next('NewMessage');
});

test('a member who was banned while away receives only their removal when they catch up', async () => {
  const chat = await create('GROUP');
  const { viewer } = await linus.ask('{ viewer { eventCursor } }');
  await say(ada, chat, 'missed');
  await ban(ada, chat, linus.userId);
  await say(ada, chat, 'not for linus');
  const missed = await readMissed(server, linus, viewer.eventCursor);
  expect(missed.map(eventOf)).toMatchObject([
    { __typename: 'RemoveFromChat', chatId: chat, userId: linus.userId },
    { __typename: 'CaughtUp' },
  ]);
});

test('a ban by hand in the database has the same effect', async () => {
  const chat = await create('PUBLIC_CHANNEL');
  await using member = await followEvents(server, linus);
  await using reader = await followChat(otherNode, hedy, chat);
  await server.sql.query(`insert into restrictions (chat_id, user_id, kind) select $1, unnest($2::bigint[]), 'BAN'`, [
    keyOf(chat),
    [linus, hedy].map(({ userId }) => keyOf(userId)),
  ]);
  await member.next('RemoveFromChat');
  await reader.ended();
  expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER', grace: 'ADMIN' });
});

// At the same time ----------------------------------------------------------------------------------------------------

test('when a ban and a join happen at the same time on two nodes, the ban wins', async () => {
  for (let round = 0; round < 10; round += 1) {
    const channel = await createPublicChannel(ada);
    const [banned, joined] = await Promise.all([
      ban(ada, channel, hedy.userId),
      joinChat(onNode(otherNode, hedy), channel),
    ]);
    expect(kindOf(banned)).toBe('Ban');
    expect(['Chat', 'Forbidden', 'NotFound']).toContain(kindOf(joined));
    expect(await rolesIn(channel, ada)).toEqual({ ada: 'OWNER' });
  }
});

test('of a ban and an addition at the same time on two nodes, the ban wins, also against SQL', async () => {
  for (let round = 0; round < 10; round += 1) {
    const chat = await createGroup(ada, [grace]);
    const insert = 'insert into members (chat_id, user_id) values ($1, $2)';
    const adding =
      round % 2 === 0
        ? addPeople(onNode(otherNode, grace), chat, [hedy.userId])
        : server.sql.query(insert, [keyOf(chat), keyOf(hedy.userId)]).catch((error: Error) => error);
    await Promise.all([ban(ada, chat, hedy.userId), adding]);
    expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER', grace: 'MEMBER' });
  }
});

test('a user who is added by a transaction whose snapshot is older than the ban stays out', async () => {
  const chat = await create('PRIVATE_CHANNEL');
  const client = await server.sql.connect();
  try {
    await client.query('begin isolation level repeatable read; select count(*) from chats');
    expect(kindOf(await ban(ada, chat, hedy.userId))).toBe('Ban');
    const adding = client.query('insert into members (chat_id, user_id) values ($1, $2)', [
      keyOf(chat),
      keyOf(hedy.userId),
    ]);
    await expect(adding).rejects.toMatchObject({ code: '40001' });
  } finally {
    await client.query('rollback');
    client.release();
  }
  expect(await chatSeenBy(hedy, chat)).toBeNull();
});

test('two bans of one user at the same time are one ban', async () => {
  const chat = await create('GROUP');
  const outcomes = await Promise.all([
    ban(ada, chat, linus.userId, { reason: 'one' }),
    ban(onNode(otherNode, grace), chat, linus.userId, { reason: 'two' }),
  ]);
  expect(outcomes.map(kindOf)).toEqual(['Ban', 'Ban']);
  expect(await bansOf(ada, chat)).toHaveLength(1);
  expect(kindOf(await removePerson(ada, chat, linus.userId))).toBe('NotFound');
});
