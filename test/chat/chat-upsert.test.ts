import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { insertProgram, type Program } from '../support/api-key.ts';
import { createChat, createGroup, keyOf, say } from '../support/chat.ts';
import { signUpAll, type Data, type Person, type Variables } from '../support/client.ts';
import { programWith } from '../support/api-key.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { eventOf, followEvents } from '../support/stream.ts';

let server: TestServer;
let other: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let program: Program;
beforeAll(async () => {
  server = await sharedServer();
  other = await sharedNode(server);
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
  program = await insertProgram(server, ['CHATS_WRITE', 'CHATS_READ']);
});

const fields = 'id key type name description custom memberCount';
const mutation = `mutation ($input: UpsertChatInput!) { upsertChat(input: $input) {
  __typename
  ... on Chat { ${fields} }
  ... on InvalidInput { fields { path code } }
  ... on Forbidden { message }
} }`;

async function upsert(input: Variables, by: Pick<Program, 'ask'> = program): Promise<Data> {
  return (await by.ask(mutation, { input })).upsertChat;
}

const ids = (...people: Pick<Person, 'userId'>[]) => people.map(({ userId }) => userId);

async function membersOf(chatId: string): Promise<Record<string, string>> {
  const { rows } = await server.sql.query(
    `select username, role from members m join users u on u.id = m.user_id where chat_id = $1 order by username`,
    [keyOf(chatId)],
  );
  return Object.fromEntries(rows.map(({ username, role }) => [username, role]));
}

const eventDocument = `subscription { events { event {
  __typename
  ... on NewChat { chat { key } } ... on ChatUpdated { chat { name custom } }
  ... on AddToChat { chat { key } } ... on RemoveFromChat { chatId userId }
} } }`;

test('the chat of an order is created with its members, who own nothing, and is found by its key', async () => {
  await using stream = await followEvents(server, ada, { document: eventDocument });
  const custom = { order: 42 };
  const chat = await upsert({
    ...{ key: 'order:42', type: 'GROUP', name: 'Order 42', description: 'A pump', custom },
    memberIds: ids(ada, grace),
  });
  expect(chat).toMatchObject({ key: 'order:42', type: 'GROUP', name: 'Order 42', description: 'A pump', custom });
  expect(await membersOf(chat.id)).toEqual({ ada: 'MEMBER', grace: 'MEMBER' });
  expect(eventOf(await stream.next('NewChat'))).toMatchObject({ chat: { key: 'order:42' } });
  const find = 'query ($key: String!) { chatByKey(key: $key) { id } }';
  for (const by of [ada, program])
    expect(await by.ask(find, { key: 'order:42' })).toEqual({ chatByKey: { id: chat.id } });
  // A user finds only the chats that they may see.
  expect(await linus.ask(find, { key: 'order:42' })).toEqual({ chatByKey: null });
  for (const key of ['order:43', '', 'a\0b']) expect(await program.ask(find, { key })).toEqual({ chatByKey: null });
});

test('with ownerIds, exactly these members own the chat, and a program that acts as one of them can delete it', async () => {
  const input = { key: 'order:owned', type: 'GROUP' };
  const everyone = ids(ada, grace, linus);
  const chat = await upsert({ ...input, memberIds: everyone, ownerIds: ids(ada) });
  expect(await membersOf(chat.id)).toEqual({ ada: 'OWNER', grace: 'MEMBER', linus: 'MEMBER' });
  await upsert({ ...input, ownerIds: ids(grace, linus) });
  expect(await membersOf(chat.id)).toEqual({ ada: 'MEMBER', grace: 'OWNER', linus: 'OWNER' });
  // One owner leaves, the other owner becomes a member, and another member becomes the owner, all in one call.
  await upsert({ ...input, memberIds: ids(ada, grace), ownerIds: ids(ada) });
  expect(await membersOf(chat.id)).toEqual({ ada: 'OWNER', grace: 'MEMBER' });
  const refuse = async (change: Variables) => (await upsert({ ...input, ...change })).fields;
  expect(await refuse({ ownerIds: [] })).toEqual([{ path: ['ownerIds'], code: 'REQUIRED' }]);
  const many = Array.from({ length: 10_001 }, () => ada.userId);
  expect(await refuse({ ownerIds: many })).toEqual([{ path: ['ownerIds'], code: 'TOO_MANY' }]);
  expect(await refuse({ ownerIds: ids(ada, linus) })).toEqual([{ path: ['ownerIds', '1'], code: 'NOT_ALLOWED' }]);
  expect(await refuse({ key: 'order:pair', type: 'SINGLE', memberIds: ids(ada, grace), ownerIds: ids(ada) })).toEqual([
    { path: ['ownerIds'], code: 'NOT_ALLOWED' },
  ]);
  expect(await membersOf(chat.id)).toEqual({ ada: 'OWNER', grace: 'MEMBER' });
  const { token: secret } = await insertProgram(server, ['CHATS_WRITE', 'CHATS_READ', 'ACT_AS']);
  const asOwner = programWith(server, { keyId: '', secret, actAs: ada.userId });
  const deleted = await asOwner.ask('mutation ($id: ID!) { deleteChat(chatId: $id) { __typename } }', { id: chat.id });
  expect(deleted.deleteChat.__typename).not.toBe('Forbidden');
  expect(await membersOf(chat.id)).toEqual({});
});

test('repeating a call creates no second chat and no events, and a different call changes only the fields that it names', async () => {
  const input = { key: 'order:same', type: 'GROUP', name: 'Same', custom: { a: 1 }, memberIds: ids(ada, grace) };
  const first = await upsert(input);
  const before = await server.sql.query('select max(id) as id from events');
  expect(await upsert(input)).toEqual(first);
  expect(await upsert({ key: 'order:same', type: 'GROUP' })).toEqual(first);
  expect((await server.sql.query('select max(id) as id from events')).rows).toEqual(before.rows);
  expect(await upsert({ key: 'order:same', type: 'PRIVATE_CHANNEL', custom: null })).toEqual({
    ...first,
    ...{ type: 'PRIVATE_CHANNEL', custom: {} },
  });
  expect(await upsert({ key: 'order:same', type: 'GROUP', name: null })).toMatchObject({ name: null, memberCount: 2 });
});

test('simultaneous calls on two nodes create only one chat', async () => {
  const calls = Array.from({ length: 12 }, (_, index) =>
    upsert(
      { key: 'order:race', type: 'GROUP', memberIds: ids(ada, grace) },
      index % 2 === 0 ? program : program.on(other),
    ),
  );
  const chats = await Promise.all(calls);
  expect(new Set(chats.map(({ id }) => id)).size).toBe(1);
  const { rows } = await server.sql.query(`select kind from events where chat_id = $1`, [keyOf(chats[0].id)]);
  expect(rows).toEqual([{ kind: 'NewChat' }]);
});

test('when two calls give different members at the same time, one of the two lists takes effect, never a mixture', async () => {
  const lists = [ids(ada, grace), ids(grace, linus), ids(linus, ada)];
  const { id } = await upsert({ key: 'order:lists', type: 'GROUP', memberIds: lists[0] });
  await Promise.all(
    lists.map((memberIds, index) =>
      upsert({ key: 'order:lists', type: 'GROUP', memberIds }, index === 1 ? program.on(other) : program),
    ),
  );
  expect([
    { ada: 'MEMBER', grace: 'MEMBER' },
    { grace: 'MEMBER', linus: 'MEMBER' },
    { ada: 'MEMBER', linus: 'MEMBER' },
  ]).toContainEqual(await membersOf(id));
});

test('the members become exactly the given ones, and each change has the right event', async () => {
  const { id } = await upsert({ key: 'order:members', type: 'GROUP', memberIds: ids(ada, grace) });
  await say(ada, id, 'before');
  await using adas = await followEvents(server, ada, { document: eventDocument });
  await using graces = await followEvents(server, grace, { document: eventDocument });
  await using linuses = await followEvents(server, linus, { document: eventDocument });
  await upsert({ key: 'order:members', type: 'GROUP', memberIds: ids(ada, linus) });
  expect(await membersOf(id)).toEqual({ ada: 'MEMBER', linus: 'MEMBER' });
  expect(eventOf(await linuses.next('AddToChat'))).toMatchObject({ chat: { key: 'order:members' } });
  for (const stream of [adas, graces]) {
    expect(eventOf(await stream.next('RemoveFromChat'))).toMatchObject({ chatId: id, userId: grace.userId });
  }
  // A new member of a group sees new messages only.
  const history = 'query ($id: ID!) { chat(id: $id) { messages { edges { node { content } } } } }';
  expect((await linus.ask(history, { id })).chat.messages.edges).toEqual([]);
  expect((await grace.ask(history, { id })).chat).toBeNull();
});

test('a change of the chat reaches its members', async () => {
  const { id } = await upsert({ key: 'order:change', type: 'GROUP', memberIds: ids(ada) });
  await using stream = await followEvents(server, ada, { document: eventDocument });
  expect(
    await upsert({ key: 'order:change', type: 'GROUP', name: 'Shipped', custom: { state: 'shipped' } }),
  ).toMatchObject({
    id,
  });
  expect(eventOf(await stream.next('ChatUpdated'))).toMatchObject({
    chat: { name: 'Shipped', custom: { state: 'shipped' } },
  });
});

test('a chat with a key stays when its last member leaves, and gets members again', async () => {
  const { id } = await upsert({ key: 'order:empty', type: 'GROUP', memberIds: ids(ada) });
  await ada.ask('mutation ($id: ID!) { leaveChat(chatId: $id) { __typename } }', { id });
  expect(await membersOf(id)).toEqual({});
  expect(await upsert({ key: 'order:empty', type: 'GROUP', memberIds: ids(grace) })).toMatchObject({
    id,
    memberCount: 1,
  });
  expect(await upsert({ key: 'order:empty', type: 'GROUP', memberIds: [] })).toMatchObject({ id, memberCount: 0 });
});

test('an owner who is removed passes the chat on, as an erased one does', async () => {
  const id = await createGroup(ada, [grace, linus]);
  await server.sql.query(`update chats set key = 'order:owned' where id = $1`, [keyOf(id)]);
  await server.sql.query(`update members set role = 'ADMIN' where chat_id = $1 and user_id = $2`, [
    ...[keyOf(id), keyOf(linus.userId)],
  ]);
  expect(await upsert({ key: 'order:owned', type: 'GROUP', memberIds: ids(grace, linus) })).toMatchObject({ id });
  expect(await membersOf(id)).toEqual({ grace: 'MEMBER', linus: 'OWNER' });
});

test('a pair has only one single chat, which gets the key and keeps its members', async () => {
  const { id } = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  const input = { key: 'dm:1', type: 'SINGLE', memberIds: ids(grace, ada) };
  expect(await upsert({ ...input, custom: { a: 1 } })).toMatchObject({ id, key: 'dm:1', custom: { a: 1 } });
  expect(await upsert(input)).toMatchObject({ id });
  expect(await upsert({ ...input, key: 'dm:2' })).toEqual({
    __typename: 'InvalidInput',
    fields: [{ path: ['memberIds'], code: 'DUPLICATE' }],
  });
  for (const memberIds of [ids(ada, linus), ids(ada), []]) {
    expect(await upsert({ ...input, memberIds })).toEqual({
      __typename: 'InvalidInput',
      fields: [{ path: ['memberIds'], code: 'NOT_ALLOWED' }],
    });
  }
  const calls = [program, program.on(other), program, program.on(other)].map((by) =>
    upsert({ key: 'dm:race', type: 'SINGLE', memberIds: ids(ada, linus) }, by),
  );
  const chats = await Promise.all(calls);
  expect(new Set(chats.map((chat) => chat.id)).size).toBe(1);
  expect(await membersOf(chats[0].id)).toEqual({ ada: 'MEMBER', linus: 'MEMBER' });
});

test('a single chat does not get a key that another chat has just got', async () => {
  await createChat(grace, { type: 'SINGLE', memberIds: ids(linus) });
  const rival = await server.sql.connect();
  try {
    await rival.query(`begin; insert into chats (key, type) values ('dm:contested', 'GROUP')`);
    const call = upsert({ key: 'dm:contested', type: 'SINGLE', memberIds: ids(grace, linus) });
    const waiting = `select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like 'update chats%'`;
    await expect.poll(async () => (await server.sql.query(waiting)).rowCount).toBe(1);
    await rival.query('commit');
    expect(await call).toEqual({ __typename: 'InvalidInput', fields: [{ path: ['type'], code: 'NOT_ALLOWED' }] });
  } finally {
    rival.release(true);
  }
});

test.each([
  [{ key: '', type: 'GROUP' }, ['key'], 'REQUIRED'],
  [{ key: 'a b', type: 'GROUP' }, ['key'], 'MALFORMED'],
  [{ key: 'k', type: 'PUBLIC_CHANNEL' }, ['name'], 'REQUIRED'],
  [{ key: 'k', type: 'SINGLE', name: 'x' }, ['name'], 'NOT_ALLOWED'],
  [{ key: 'k', type: 'SINGLE' }, ['memberIds'], 'NOT_ALLOWED'],
  [{ key: 'k', type: 'GROUP', custom: { a: '\0' } }, ['custom'], 'MALFORMED'],
])('%j is refused', async (input, path, code) => {
  expect(await upsert(input)).toEqual({ __typename: 'InvalidInput', fields: [{ path, code }] });
});

test('unknown users are listed, and the members stay as they are', async () => {
  const { id } = await upsert({ key: 'order:unknown', type: 'GROUP', memberIds: ids(ada) });
  const stranger = encodeId('User', 999_999n);
  expect(await upsert({ key: 'order:unknown', type: 'GROUP', memberIds: [grace.userId, stranger] })).toEqual({
    __typename: 'InvalidInput',
    fields: [{ path: ['memberIds', '1'], code: 'NOT_FOUND' }],
  });
  expect(await membersOf(id)).toEqual({ ada: 'MEMBER' });
  expect(await upsert({ key: 'order:unknown', type: 'SINGLE', memberIds: ids(ada, grace) })).toMatchObject({
    fields: [{ path: ['type'] }],
  });
});

test('a banned user is not made a member', async () => {
  const { id } = await upsert({ key: 'order:ban', type: 'GROUP', memberIds: ids(ada) });
  await server.sql.query(`insert into restrictions (chat_id, user_id, kind) values ($1, $2, 'BAN')`, [
    ...[keyOf(id), keyOf(linus.userId)],
  ]);
  expect(await upsert({ key: 'order:ban', type: 'GROUP', memberIds: ids(ada, linus) })).toMatchObject({
    __typename: 'Forbidden',
  });
  expect(await membersOf(id)).toEqual({ ada: 'MEMBER' });
});

test('a session, and a key without the scope, are refused', async () => {
  const input = { key: 'order:none', type: 'GROUP', memberIds: ids(ada) };
  expect((await ada.post(mutation, { input })).data?.upsertChat).toMatchObject({ __typename: 'Forbidden' });
  const reader = await insertProgram(server, ['CHATS_READ']);
  expect(await upsert(input, reader)).toMatchObject({ __typename: 'Forbidden' });
  expect((await server.sql.query(`select from chats where key = 'order:none'`)).rowCount).toBe(0);
});
