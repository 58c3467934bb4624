import { beforeAll, expect, test } from 'vitest';
import { insertProgram, type Program } from '../support/api-key.ts';
import { createGroup, keyOf } from '../support/chat.ts';
import { signUpAll, type Data, type Person, type Variables } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { eventOf, followEvents } from '../support/stream.ts';

let server: TestServer;
let other: TestServer;
let ada: Person;
let grace: Person;
let program: Program;
beforeAll(async () => {
  server = await sharedServer();
  other = await sharedNode(server);
  [ada, grace] = await signUpAll(server, 'ada', 'grace');
  program = await insertProgram(server, ['USERS_WRITE', 'USERS_READ']);
});

const mutation = `mutation ($input: UpsertUserInput!) { upsertUser(input: $input) {
  __typename
  ... on User { id key username displayName custom }
  ... on InvalidInput { fields { path code } }
  ... on Conflict { taken: fields }
  ... on Forbidden { message }
} }`;

async function upsert(input: Variables, by: Pick<Program, 'ask'> = program): Promise<Data> {
  return (await by.ask(mutation, { input })).upsertUser;
}

async function emailOf(key: string): Promise<Data> {
  const { rows } = await server.sql.query(
    'select email, email_verified_at is not null as verified from users where key = $1',
    [key],
  );
  return rows[0];
}

test('a user is created with everything that the product says, and found by their key', async () => {
  const custom = { tier: 'gold' };
  const input = { key: 'shop:1', username: 'lin', displayName: 'Lin', email: 'lin@example.com', custom };
  const user = await upsert(input);
  expect(user).toMatchObject({ __typename: 'User', key: 'shop:1', username: 'lin', displayName: 'Lin', custom });
  expect(await emailOf('shop:1')).toEqual({ email: 'lin@example.com', verified: true });
  const find = 'query ($key: String!) { userByKey(key: $key) { id username } }';
  for (const by of [ada, program]) {
    expect(await by.ask(find, { key: 'shop:1' })).toEqual({ userByKey: { id: user.id, username: 'lin' } });
    for (const key of ['shop:2', 'SHOP:1', '', 'a\0b', 'x'.repeat(300)]) {
      expect(await by.ask(find, { key })).toEqual({ userByKey: null });
    }
  }
});

test('the same call twice gives one user, unchanged; another changes only what it names', async () => {
  const first = await upsert({ key: 'shop:same', username: 'same', displayName: 'Same', custom: { a: 1 } });
  expect(await upsert({ key: 'shop:same', username: 'same', displayName: 'Same', custom: { a: 1 } })).toEqual(first);
  expect(await upsert({ key: 'shop:same' })).toEqual(first);
  expect(await upsert({ key: 'shop:same', displayName: null })).toEqual({ ...first, displayName: null });
  expect(await upsert({ key: 'shop:same', username: 'renamed', custom: null })).toEqual({
    ...first,
    ...{ displayName: null, username: 'renamed', custom: {} },
  });
});

test('calls at the same time, on two nodes, give one user', async () => {
  const calls = Array.from({ length: 12 }, (_, index) =>
    upsert({ key: 'shop:race', displayName: 'Racer' }, index % 2 === 0 ? program : program.on(other)),
  );
  const users = await Promise.all(calls);
  expect(new Set(users.map(({ id }) => id)).size).toBe(1);
  const { rows } = await server.sql.query(`select count(*)::int as count from users where username like 'Racer%'`);
  expect(rows).toEqual([{ count: 1 }]);
});

test('new users with one display name, created at the same time, get different usernames', async () => {
  const users = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      upsert({ key: `shop:twin-${index}`, displayName: 'Twin' }, index % 2 === 0 ? program : program.on(other)),
    ),
  );
  expect(users.map(({ __typename }) => __typename)).toEqual(Array(8).fill('User'));
  expect(new Set(users.map(({ username }) => username)).size).toBe(8);
});

test('a change of the profile reaches those who share a chat with the user; the same again reaches no one', async () => {
  const { id } = await upsert({ key: 'shop:seen', username: 'seen' });
  await createGroup(ada, [{ userId: id }]);
  const document =
    'subscription { events { event { __typename ... on UserUpdated { user { displayName custom } } } } }';
  await using stream = await followEvents(server, ada, { document });
  await upsert({ key: 'shop:seen', displayName: 'Seen' });
  expect(eventOf(await stream.next('UserUpdated'))).toMatchObject({ user: { displayName: 'Seen', custom: {} } });
  await upsert({ key: 'shop:seen', displayName: 'Seen' });
  await upsert({ key: 'shop:seen', custom: { tier: 'gold' } });
  expect(eventOf(await stream.next('UserUpdated'))).toMatchObject({ user: { custom: { tier: 'gold' } } });
});

test('a username or an email address that another user has is a conflict, and nothing changes', async () => {
  const user = await upsert({ key: 'shop:taken', username: 'mine', email: 'mine@example.com' });
  expect(await upsert({ key: 'shop:taken', username: 'ADA' })).toEqual({
    __typename: 'Conflict',
    taken: ['username'],
  });
  expect(await upsert({ key: 'shop:taken', email: 'Ada@example.com' })).toEqual({
    __typename: 'Conflict',
    taken: ['email'],
  });
  expect(await upsert({ key: 'shop:taken-2', username: 'ada', email: 'ada@example.com' })).toEqual({
    __typename: 'Conflict',
    taken: ['username', 'email'],
  });
  expect(await upsert({ key: 'shop:taken-3', email: 'ada@example.com' })).toMatchObject({ __typename: 'Conflict' });
  expect(await upsert({ key: 'shop:taken' })).toEqual(user);
  expect(await upsert({ key: 'shop:taken', username: 'MINE', email: 'MINE@example.com' })).toMatchObject({
    username: 'MINE',
  });
});

test('an email address that is removed or changed is no longer the old one, and no key is taken by address', async () => {
  await upsert({ key: 'shop:mail', email: 'first@example.com' });
  await upsert({ key: 'shop:mail', email: 'second@example.com' });
  expect(await emailOf('shop:mail')).toEqual({ email: 'second@example.com', verified: true });
  await upsert({ key: 'shop:mail', email: null });
  expect(await emailOf('shop:mail')).toEqual({ email: null, verified: false });
});

test.each([
  [{ key: '' }, ['key'], 'REQUIRED'],
  [{ key: 'a b' }, ['key'], 'MALFORMED'],
  [{ key: 'x'.repeat(256) }, ['key'], 'TOO_LONG'],
  [{ key: 'k', username: 'everyone' }, ['username'], 'NOT_ALLOWED'],
  [{ key: 'k', displayName: 'a\nb' }, ['displayName'], 'MALFORMED'],
  [{ key: 'k', email: 'none' }, ['email'], 'MALFORMED'],
  [{ key: 'k', custom: { a: '\0' } }, ['custom'], 'MALFORMED'],
])('%j is refused', async (input, path, code) => {
  expect(await upsert(input)).toEqual({ __typename: 'InvalidInput', fields: [{ path, code }] });
});

test('moderators and server admins are not touched', async () => {
  for (const role of ['MODERATOR', 'ADMIN']) {
    await server.sql.query('update users set key = $2, server_role = $3 where id = $1', [
      ...[keyOf(grace.userId), `staff:${role}`, role],
    ]);
    expect(await upsert({ key: `staff:${role}`, displayName: 'Changed' })).toMatchObject({ __typename: 'Forbidden' });
  }
  const { user } = (await grace.ask('{ viewer { user { displayName } } }')).viewer;
  expect(user).toEqual({ displayName: null });
});

test('a session, and a key without the scope, are refused', async () => {
  const input = { key: 'shop:none' };
  expect((await ada.post(mutation, { input })).data?.upsertUser).toMatchObject({ __typename: 'Forbidden' });
  const reader = await insertProgram(server, ['USERS_READ']);
  expect(await upsert(input, reader)).toMatchObject({
    __typename: 'Forbidden',
    message: expect.stringContaining('USERS_WRITE'),
  });
  expect((await server.sql.query(`select from users where key = 'shop:none'`)).rowCount).toBe(0);
});

test('the audit log says that a program created or changed the user, once for each change', async () => {
  await upsert({ key: 'shop:log', displayName: 'One' });
  await upsert({ key: 'shop:log', displayName: 'One' });
  await upsert({ key: 'shop:log', displayName: 'Two' });
  const { rows } = await server.sql.query(
    `select a.action from audit_entries a join users u on a.target_type = 'User' and a.target_key = u.id::text
    where u.key = 'shop:log'`,
  );
  expect(rows).toEqual([{ action: 'UPSERT_USER' }, { action: 'UPSERT_USER' }]);
});

test('the key of an erased account is free again', async () => {
  const { id } = await upsert({ key: 'shop:erased', username: 'soon' });
  await server.sql.query(
    `update users set deleted_at = now(), key = null, custom = '{}', username = 'erased_x' where id = $1`,
    [keyOf(id)],
  );
  expect((await upsert({ key: 'shop:erased' })).id).not.toBe(id);
});
