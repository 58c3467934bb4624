import { beforeAll, expect, test } from 'vitest';
import { createGroup, keyOf } from '../support/chat.ts';
import { signUpAll, type Person } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { eventOf, followEvents } from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let chatId: string;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await signUpAll(server, 'ada', 'grace');
  chatId = await createGroup(ada, [grace]);
});

const document = `subscription { events { event {
  __typename
  ... on UserUpdated { user { key custom } }
  ... on ChatUpdated { chat { key custom } }
} } }`;

test("changes of a user's and a chat's key and custom data reach those who see them", async () => {
  await using stream = await followEvents(server, grace, { document });
  await server.sql.query(`update users set key = 'shop:1', custom = '{"tier": "gold"}' where id = $1`, [
    keyOf(ada.userId),
  ]);
  expect(eventOf(await stream.next('UserUpdated'))).toMatchObject({
    user: { key: 'shop:1', custom: { tier: 'gold' } },
  });
  await server.sql.query(`update chats set key = 'order:42', custom = '{"open": true}' where id = $1`, [keyOf(chatId)]);
  expect(eventOf(await stream.next('ChatUpdated'))).toMatchObject({
    chat: { key: 'order:42', custom: { open: true } },
  });
});

test('without a key, users and chats have null and an empty object', async () => {
  const { viewer } = await grace.ask('{ viewer { user { key custom } chats { edges { node { custom } } } } }');
  expect(viewer.user).toEqual({ key: null, custom: {} });
});

test.each(['users', 'chats'])('a key in %s is unique, and visible ASCII of at most 255 characters', async (table) => {
  const set = (key: string) =>
    server.sql.query(`update ${table} set key = $1 where id = (select max(id) from ${table})`, [key]);
  await set('x'.repeat(255));
  for (const key of ['', ' ', 'a b', 'a\n', 'é', 'x'.repeat(256)]) {
    await expect(set(key), key).rejects.toMatchObject({ code: '23514' });
  }
  await server.sql.query(
    table === 'users'
      ? `insert into users (username, key) values ('another', 'taken')`
      : `insert into chats (type, key) values ('GROUP', 'taken')`,
  );
  await server.sql.query(`select 1`);
  await expect(
    server.sql.query(`update ${table} set key = 'taken' where id = (select min(id) from ${table})`),
  ).rejects.toMatchObject({ code: '23505' });
});
