import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { createChat, createGroup, createPublicChannel, heardBy, keyOf, say, sendMessage } from '../support/chat.ts';
import { type Person, signUp, signUpAll } from '../support/client.ts';
import {
  addPeople,
  contentsIn,
  deleteChat,
  joinChat,
  leaveChat,
  removePerson,
  rolesIn,
  setMemberRole,
  updateChat,
} from '../support/membership.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { eventOf, followEvents, readMissed } from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let hedy: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus, hedy] = await signUpAll(server, 'ada', 'grace', 'linus', 'hedy');
});

const types = ['GROUP', 'PRIVATE_CHANNEL', 'PUBLIC_CHANNEL'];

/** Creates a chat with Ada and Grace. */
async function create(type: string): Promise<string> {
  const name = type === 'SINGLE' ? null : 'of ada and grace';
  return (await createChat(ada, { type, name, memberIds: [grace.userId] })).id;
}

// Adding ------------------------------------------------------------------------------------------------------------

test.each(types)('users who are added to a %s are in it, and everyone receives one event about it', async (type) => {
  const chat = await create(type);
  await using old = await followEvents(server, grace);
  await using added = await followEvents(server, linus);
  expect(await addPeople(ada, chat, [linus.userId, hedy.userId])).toMatchObject({
    __typename: 'Chat',
    id: chat,
    memberCount: 4,
    viewerMembership: { role: 'OWNER' },
  });
  const roles = { ada: 'OWNER', grace: 'MEMBER', linus: 'MEMBER', hedy: 'MEMBER' };
  expect(await rolesIn(chat, linus)).toEqual(roles);
  const event = {
    __typename: 'AddToChat',
    chat: { id: chat },
    members: expect.arrayContaining([{ user: { username: 'linus' } }, { user: { username: 'hedy' } }]),
    addedCount: 2,
  };
  for (const [person, stream] of [
    [grace, old],
    [linus, added],
  ] as const) {
    expect(await heardBy(person, stream)).toMatchObject([event]);
  }
});

test('adding a user who is already a member changes nothing, and sends no event', async () => {
  const chat = await create('GROUP');
  await using stream = await followEvents(server, grace);
  const again = [ada.userId, grace.userId, grace.userId];
  expect(await addPeople(ada, chat, again)).toMatchObject({ __typename: 'Chat', memberCount: 2 });
  expect(await addPeople(ada, chat, [])).toMatchObject({ __typename: 'Chat', memberCount: 2 });
  expect(await addPeople(ada, chat, [...again, linus.userId, linus.userId])).toMatchObject({ memberCount: 3 });
  expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER', grace: 'MEMBER', linus: 'MEMBER' });
  expect(await heardBy(grace, stream)).toMatchObject([
    { __typename: 'AddToChat', addedCount: 1, members: [{ user: { username: 'linus' } }] },
  ]);
});

test.each([
  ['GROUP', undefined, ['after']],
  ['GROUP', 'FROM_NOW', ['after']],
  ['GROUP', 'ALL', ['before', 'after']],
  ['PRIVATE_CHANNEL', undefined, ['before', 'after']],
  ['PRIVATE_CHANNEL', 'FROM_NOW', ['after']],
  ['PRIVATE_CHANNEL', 'ALL', ['before', 'after']],
  ['PUBLIC_CHANNEL', undefined, ['before', 'after']],
  ['PUBLIC_CHANNEL', 'FROM_NOW', ['before', 'after']],
  ['PUBLIC_CHANNEL', 'ALL', ['before', 'after']],
])('in a %s a newcomer with history %s sees the messages %j', async (type, history, seen) => {
  const chat = await create(type);
  await say(ada, chat, 'before');
  await addPeople(ada, chat, [linus.userId], history);
  await say(ada, chat, 'after');
  expect(await contentsIn(chat, linus)).toEqual(seen);
  expect(await contentsIn(chat, grace)).toEqual(['before', 'after']);
});

test('a thousand users can be added at a time, and the first hundred of them are listed', async () => {
  const { rows } = await server.sql.query(
    `insert into users (username, email)
    select 'one-of-many-' || n, n || '@many.example.com' from generate_series(1, 1001) n returning id`,
  );
  const people = rows.map(({ id }) => encodeId('User', BigInt(id)));
  const chat = await create('PUBLIC_CHANNEL');
  expect(await addPeople(ada, chat, people)).toMatchObject({
    __typename: 'InvalidInput',
    fields: [{ path: ['userIds'] }],
  });
  await using stream = await followEvents(server, grace);
  expect(await addPeople(ada, chat, people.slice(1))).toMatchObject({ __typename: 'Chat', memberCount: 1_002 });
  const [event, ...more] = await heardBy(grace, stream);
  expect(more).toEqual([]);
  expect(event).toMatchObject({ __typename: 'AddToChat', addedCount: 1_000 });
  expect(event.members).toHaveLength(100);
});

test('the error names the users who do not exist, and no one is added', async () => {
  const chat = await create('GROUP');
  const nobody = encodeId('User', 2n ** 62n);
  expect(await addPeople(ada, chat, [linus.userId, nobody, grace.userId, encodeId('User', 0)])).toMatchObject({
    __typename: 'InvalidInput',
    fields: [
      { path: ['userIds', '1'], message: 'there is no such user' },
      { path: ['userIds', '3'], message: 'there is no such user' },
    ],
  });
  expect(await addPeople(ada, chat, [chat])).toMatchObject({
    __typename: 'InvalidInput',
    fields: [{ path: ['userIds', '0'], message: 'is not the id of a User' }],
  });
  expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER', grace: 'MEMBER' });
});

// Removing ------------------------------------------------------------------------------------------------------------

test.each(types)('a removed user receives the removal from a %s last; the other members continue', async (type) => {
  const chat = await create(type);
  await addPeople(ada, chat, [linus.userId]);
  await using removed = await followEvents(server, grace);
  await using remaining = await followEvents(server, linus);
  const before = removed.cursor;
  await say(ada, chat, 'with grace');
  expect(await removePerson(ada, chat, grace.userId)).toMatchObject({ __typename: 'Chat', memberCount: 2 });
  await say(ada, chat, 'without grace');
  const said = (content: string) => ({ __typename: 'NewMessage', message: { content } });
  const removal = { __typename: 'RemoveFromChat', chatId: chat, userId: grace.userId, user: { username: 'grace' } };
  expect(await heardBy(grace, removed)).toMatchObject([said('with grace'), removal]);
  expect(await heardBy(linus, remaining)).toMatchObject([said('with grace'), removal, said('without grace')]);
  // A user who was away at that time receives only the removal.
  const missed = (await readMissed(server, grace, before)).map(eventOf);
  expect(missed.filter((event) => event.__typename !== 'NewChat' && event.__typename !== 'CaughtUp')).toMatchObject([
    removal,
  ]);
});

test('a user who is not a member cannot be removed or be given a role', async () => {
  const chat = await create('GROUP');
  for (const userId of [linus.userId, encodeId('User', 2n ** 62n)]) {
    expect(await removePerson(ada, chat, userId)).toMatchObject({ __typename: 'NotFound', code: 'NOT_FOUND' });
    expect(await setMemberRole(ada, chat, userId, 'ADMIN')).toMatchObject({ __typename: 'NotFound' });
  }
  expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER', grace: 'MEMBER' });
});

// Joining and leaving -------------------------------------------------------------------------------------------------

test('any user can join a public channel, once', async () => {
  const channel = await createPublicChannel(ada);
  await say(ada, channel, 'before');
  await using owner = await followEvents(server, ada);
  await using newcomer = await followEvents(server, linus);
  const joined = { __typename: 'Chat', id: channel, memberCount: 2, viewerMembership: { role: 'MEMBER' } };
  expect(await joinChat(linus, channel)).toMatchObject(joined);
  expect(await joinChat(linus, channel)).toMatchObject(joined);
  expect(await joinChat(ada, channel)).toMatchObject({ ...joined, viewerMembership: { role: 'OWNER' } });
  await say(ada, channel, 'after');
  for (const [person, stream] of [
    [ada, owner],
    [linus, newcomer],
  ] as const) {
    expect(await heardBy(person, stream)).toMatchObject([
      { __typename: 'AddToChat', addedCount: 1, members: [{ user: { username: 'linus' } }] },
      { __typename: 'NewMessage', message: { content: 'after' } },
    ]);
  }
  expect(await contentsIn(channel, linus)).toEqual(['before', 'after']);
});

test.each(['SINGLE', 'GROUP', 'PRIVATE_CHANNEL'])('no one can join a %s', async (type) => {
  const chat = await create(type);
  expect(await joinChat(grace, chat)).toMatchObject({ __typename: 'Forbidden' });
  const outcome = await joinChat(linus, chat);
  expect(outcome).toMatchObject({ __typename: 'NotFound' });
  expect(outcome).toEqual(await joinChat(linus, encodeId('Chat', 2n ** 62n)));
});

test.each(types)(
  'from a %s, a user who leaves receives that last, and can come back only as anyone else can',
  async (type) => {
    const chat = await create(type);
    await using leaver = await followEvents(server, grace);
    await using owner = await followEvents(server, ada);
    expect(await leaveChat(grace, chat)).toEqual({ __typename: 'ChatGone', chatId: chat });
    await say(ada, chat, 'alone');
    const event = { __typename: 'RemoveFromChat', chatId: chat, userId: grace.userId };
    expect(await heardBy(grace, leaver)).toMatchObject([event]);
    expect(await heardBy(ada, owner)).toMatchObject([event, { __typename: 'NewMessage' }]);
    expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER' });
    const isPublic = type === 'PUBLIC_CHANNEL';
    expect(await leaveChat(grace, chat)).toMatchObject({ __typename: isPublic ? 'Forbidden' : 'NotFound' });
    expect(await joinChat(grace, chat)).toMatchObject({ __typename: isPublic ? 'Chat' : 'NotFound' });
  },
);

test.each(types)('the last member who leaves a %s deletes it, with all its contents', async (type) => {
  const chat = await create(type);
  await say(ada, chat, 'going');
  await leaveChat(grace, chat);
  await using stream = await followEvents(server, ada);
  expect(await leaveChat(ada, chat)).toEqual({ __typename: 'ChatGone', chatId: chat });
  expect(await heardBy(ada, stream)).toEqual([{ __typename: 'ChatDeleted', chatId: chat }]);
  for (const table of ['messages', 'members']) {
    expect((await server.sql.query(`select from ${table} where chat_id = $1`, [keyOf(chat)])).rowCount).toBe(0);
  }
  expect(await ada.ask('query ($id: ID!) { chat(id: $id) { id } }', { id: chat })).toEqual({ chat: null });
});

test('the last member cannot be removed, but can leave', async () => {
  const group = await createGroup(ada, [grace]);
  await leaveChat(grace, group);
  expect(await removePerson(ada, group, ada.userId)).toMatchObject({ __typename: 'Forbidden' });
  expect(await rolesIn(group, ada)).toEqual({ ada: 'OWNER' });
});

test('a single chat has no roles, and no one can join or leave it', async () => {
  const chat = await create('SINGLE');
  for (const person of [ada, grace]) {
    expect(await sendMessage(person, chat, 'hello')).toMatchObject({ __typename: 'Message' });
    for (const outcome of [
      await addPeople(person, chat, [linus.userId]),
      await removePerson(person, chat, grace.userId),
      await removePerson(person, chat, ada.userId),
      await setMemberRole(person, chat, person.userId, 'OWNER'),
      await setMemberRole(person, chat, person.userId, 'MEMBER'),
      await joinChat(person, chat),
      await leaveChat(person, chat),
      await updateChat(person, chat, { name: 'us' }),
      await updateChat(person, chat, { type: 'GROUP' }),
      await deleteChat(person, chat),
    ]) {
      expect(outcome).toMatchObject({ __typename: 'Forbidden', code: 'FORBIDDEN' });
    }
  }
  expect(await rolesIn(chat, ada)).toEqual({ ada: 'MEMBER', grace: 'MEMBER' });
});

test('after the other person in a single chat is erased, it can be left', async () => {
  const mallory = await signUp(server, 'mallory');
  const { id: chat } = await createChat(ada, { type: 'SINGLE', memberIds: [mallory.userId] });
  await sendMessage(ada, chat, 'hello');
  const own = (await createChat(ada, { type: 'SINGLE', memberIds: [ada.userId] })).id;
  expect(await leaveChat(ada, chat)).toMatchObject({ __typename: 'Forbidden' });
  const erased = [keyOf(mallory.userId)];
  await server.sql.query('delete from members where user_id = $1', erased);
  await server.sql.query('delete from users where id = $1', erased);
  const { chat: seen } = await ada.ask('query ($id: ID!) { chat(id: $id) { viewerCan } }', { id: chat });
  expect(seen.viewerCan).toContain('LEAVE_CHAT');
  expect(await leaveChat(ada, chat)).toMatchObject({ __typename: 'ChatGone' });
  expect(await leaveChat(ada, own)).toMatchObject({ __typename: 'Forbidden' });
});

test('an invalid id is refused, and so is a user who hasn’t signed in', async () => {
  const chat = await create('GROUP');
  const mutations = (chatId: string, userId: string) => [
    `removeMember(chatId: "${chatId}", userId: "${userId}")`,
    `setMemberRole(chatId: "${chatId}", userId: "${userId}", role: OWNER)`,
    `joinChat(chatId: "${chatId}")`,
    `leaveChat(chatId: "${chatId}")`,
    `deleteChat(chatId: "${chatId}")`,
    `addMembers(chatId: "${chatId}", userIds: ["${userId}"])`,
    `updateChat(input: { chatId: "${chatId}", name: "mine" })`,
  ];
  const ask = async (mutation: string, token?: string) => {
    const document = `mutation { outcome: ${mutation} { __typename ... on Error { message } } }`;
    const { data, errors } = await server.post(document, {}, token === undefined ? {} : { token });
    return errors === undefined
      ? [data.outcome.__typename, data.outcome.message]
      : [errors[0]?.extensions?.['code'], errors[0]?.message];
  };
  // If the result type of a mutation does not include InvalidInput, an invalid id causes the top-level error
  // BAD_REQUEST.
  const refused = await Promise.all(mutations(ada.userId, chat).map((mutation) => ask(mutation, ada.token)));
  expect(refused).toEqual([
    ...Array.from({ length: 5 }, () => ['BAD_REQUEST', 'chatId: is not the id of a Chat']),
    ...Array.from({ length: 2 }, () => ['InvalidInput', 'chatId: is not the id of a Chat']),
  ]);
  const unsigned = await Promise.all(mutations(chat, grace.userId).map((mutation) => ask(mutation)));
  expect(unsigned.map(([code]) => code)).toEqual(Array(7).fill('UNAUTHENTICATED'));
  expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER', grace: 'MEMBER' });
});
