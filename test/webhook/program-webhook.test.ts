import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { pruneSessions } from '../../src/account/session.ts';
import { connectDatabase, disconnectDatabase } from '../../src/postgres/client.ts';
import { renewWebhookSessions } from '../../src/webhook/holding.ts';
import { insertProgram, type Program } from '../support/api-key.ts';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUpAll, type Person } from '../support/client.ts';
import { updateChat } from '../support/membership.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { setRoleWithSql, suspendUser } from '../support/staff.ts';
import { eventOf, followEvents, openStream } from '../support/stream.ts';
import {
  askForWebhook,
  createWebhook,
  deleteWebhook,
  eventIn,
  updateWebhook,
  webhookDocument,
  webhookEnv,
  webhookOf,
  WebhookReceiver,
  webhookTimes,
} from '../support/webhook.ts';

let server: TestServer;
let root: Person;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await startServer({ env: webhookEnv, overrides: { webhookTimes } });
  [root, ada, grace] = await signUpAll(server, 'root', 'ada', 'grace');
  await setRoleWithSql(server, root, 'ADMIN');
});

async function createBot(username: string, scopes: string[]): Promise<Program & { userId: string }> {
  const { rows } = await server.sql.query(`insert into users (username, kind) values ($1, 'BOT') returning id`, [
    username,
  ]);
  const botId = String(rows[0].id);
  return { ...(await insertProgram(server, scopes, { botId })), userId: encodeId('User', botId) };
}

const revoke = ({ keyId }: Program) =>
  server.sql.query('update api_keys set revoked_at = clock_timestamp() where id = $1', [keyOf(keyId)]);

const allEvents = `subscription ($after: String) { allEvents(after: $after) { cursor event {
  __typename
  ... on NewChat { chat { id viewerMembership { role } viewerCan members { edges { node { user { username } unreadCount } } } } }
  ... on NewMessage { message { content sender { username } reactions { viewerReacted } viewerCan replyTo { content } } }
  ... on UserUpdated { user { displayName presence { status } } }
} } }`;

test('a program with MESSAGES_READ receives the events of every chat, without what depends on a viewer', async () => {
  const program = await insertProgram(server, ['MESSAGES_READ', 'CHATS_READ', 'USERS_READ', 'WEBHOOKS']);
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(program, receiver.url, { document: allEvents });
  await using stream = await followEvents(server, program, { document: allEvents });
  const chat = await createGroup(ada, [grace]);
  const first = await say(ada, chat, 'to grace alone');
  await say(grace, chat, 'a reply', { replyToId: first });
  await ada.ask('mutation { updateProfile(input: { displayName: "Ada L." }) { __typename } }');
  const created = await stream.next('NewChat');
  expect(eventOf(created).chat).toMatchObject({ id: chat, viewerMembership: null, viewerCan: [] });
  const message = eventOf(await stream.next('NewMessage')).message;
  expect(message).toMatchObject({ content: 'to grace alone', viewerCan: [], sender: { username: 'ada' } });
  expect(eventOf(await stream.next('NewMessage')).message.replyTo).toEqual({ content: 'to grace alone' });
  expect(eventOf(await stream.next('UserUpdated')).user).toEqual({ displayName: 'Ada L.', presence: null });
  await receiver.until(({ events }) => events.some(({ json }) => eventIn(json)?.__typename === 'UserUpdated'));
  expect(receiver.events.map(({ json }) => eventIn(json).__typename)).toEqual([
    'NewChat',
    'NewMessage',
    'NewMessage',
    'UserUpdated',
  ]);
  expect(receiver.events.every(({ json }) => json.errors === undefined)).toBe(true);
  // A replay contains the same events.
  await using replay = await openStream(server, program, allEvents, { variables: { after: created.id } });
  const missed = await replay.until('CaughtUp');
  expect(missed.map((frame) => eventOf(frame).__typename)).toEqual([
    'NewMessage',
    'NewMessage',
    'UserUpdated',
    'CaughtUp',
  ]);
  expect(await webhookOf(program, id)).toMatchObject({ id, owner: null });
});

test('events that concern only one user are not among all events', async () => {
  const program = await insertProgram(server, ['MESSAGES_READ', 'CHATS_READ', 'USERS_READ']);
  await using stream = await followEvents(server, program, { document: allEvents });
  const chat = await createGroup(ada, [grace]);
  const message = await say(ada, chat, 'read me');
  await grace
    .ask('mutation ($input: MarkReadInput!) { markRead(input: $input) { __typename } }', {
      input: { chatId: chat, messageId: message },
    })
    .catch(() => undefined);
  await updateChat(ada, chat, { name: 'renamed' });
  const frames = await stream.until('ChatUpdated');
  expect(new Set(frames.map((frame) => eventOf(frame).__typename))).toEqual(
    new Set(['NewChat', 'NewMessage', 'ChatUpdated']),
  );
});

test('allEvents is refused to users, to keys without MESSAGES_READ, and to a program that acts as a user', async () => {
  const lacking = await insertProgram(server, ['CHATS_READ', 'WEBHOOKS']);
  const acting = await insertProgram(server, ['MESSAGES_READ', 'CHATS_READ', 'ACT_AS']);
  for (const [by, headers] of [
    [ada, {}],
    [root, {}],
    [lacking, {}],
    [acting, { 'parley-act-as': ada.userId }],
  ] as const) {
    await using stream = await openStream(server, by, allEvents, { headers });
    const [frame] = await stream.ended();
    expect(frame?.data.errors[0].extensions.code).toBe('FORBIDDEN');
  }
  const url = 'http://127.0.0.1:9/';
  expect(await askForWebhook(lacking, { url, document: allEvents })).toMatchObject({ __typename: 'Forbidden' });
  expect(await askForWebhook(root, { url, document: allEvents })).toMatchObject({ __typename: 'Forbidden' });
  // A server key belongs to no user, so it has no events of its own.
  const ownless = expect.stringMatching(/has no events of its own.*allEvents.*bot/);
  const reader = await insertProgram(server, ['MESSAGES_READ', 'CHATS_READ', 'USERS_READ', 'WEBHOOKS']);
  expect(await askForWebhook(reader, { url })).toMatchObject({ __typename: 'Forbidden', message: ownless });
});

test('a bot has webhooks with its own events, which end with its key', async () => {
  const bot = await createBot('shop_bot', ['WEBHOOKS']);
  const receiver = await WebhookReceiver.start();
  const chat = await createGroup(ada, [{ userId: bot.userId }]);
  const { id } = await createWebhook(bot, receiver.url);
  await say(ada, chat, 'hello bot');
  await say(ada, await createGroup(ada, [grace]), 'not for the bot');
  await receiver.until(({ contents }) => contents.includes('hello bot'));
  expect(receiver.contents).toEqual(['hello bot']);
  await revoke(bot);
  await say(ada, chat, 'after the end');
  expect(await webhookOf(root, id)).toMatchObject({ status: 'PAUSED', lastError: 'The API key was revoked.' });
  expect(await updateWebhook(root, id, { isPaused: false })).toMatchObject({ __typename: 'Forbidden' });
  expect(receiver.contents).toEqual(['hello bot']);
});

test('the stream and the webhook of a server key end when it is revoked, in the order of the log', async () => {
  const program = await insertProgram(server, ['MESSAGES_READ', 'CHATS_READ', 'USERS_READ', 'WEBHOOKS']);
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(program, receiver.url, { document: allEvents });
  await using stream = await followEvents(server, program, { document: allEvents });
  const chat = await createGroup(ada, [grace]);
  await say(ada, chat, 'before');
  await receiver.until(({ contents }) => contents.includes('before'));
  await revoke(program);
  await say(ada, chat, 'after');
  const frames = await stream.ended();
  expect(frames.flatMap((frame) => eventOf(frame)?.message?.content ?? [])).toEqual(['before']);
  expect((await webhookOf(root, id)).status).toBe('PAUSED');
  expect(receiver.contents).toEqual(['before']);
});

test('the stream and the webhook of a bot that reads the whole server end when the bot is suspended', async () => {
  const bot = await createBot('archivist', ['MESSAGES_READ', 'CHATS_READ', 'USERS_READ', 'WEBHOOKS']);
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(bot, receiver.url, { document: allEvents });
  await using stream = await followEvents(server, bot, { document: allEvents });
  const chat = await createGroup(ada, [grace]);
  await say(ada, chat, 'before');
  await receiver.until(({ contents }) => contents.includes('before'));
  await suspendUser(root, bot.userId);
  await say(ada, chat, 'after');
  const frames = await stream.ended();
  expect(frames.flatMap((frame) => eventOf(frame)?.message?.content ?? [])).toEqual(['before']);
  await expect.poll(async () => (await webhookOf(root, id)).status).toBe('PAUSED');
  expect(receiver.contents).toEqual(['before']);
});

test('the webhook of a bot is still there after a month', async () => {
  const bot = await createBot('watchman', ['WEBHOOKS']);
  const chat = await createGroup(ada, [grace]);
  await server.sql.query('insert into members (chat_id, user_id) values ($1, $2)', [keyOf(chat), keyOf(bot.userId)]);
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(bot, receiver.url);
  await receiver.until(({ received }) => received.length === 1);
  const letPass = (days: number) =>
    server.sql.query(`update sessions set last_used_at = last_used_at - $2 * interval '1 day' where user_id = $1`, [
      ...[keyOf(bot.userId), days],
    ]);
  const { url } = server.database;
  const db = connectDatabase({ url, maxConnections: 1, statementTimeoutMs: 10_000, onError: () => {} });
  await letPass(29);
  await renewWebhookSessions(db, 100);
  await letPass(2);
  await pruneSessions({ db });
  await disconnectDatabase(db);
  await say(ada, chat, 'a month later');
  await receiver.until(({ contents }) => contents.includes('a month later'));
  expect((await webhookOf(bot, id)).status).toBe('ACTIVE');
});

test('a webhook pauses when its key expires', async () => {
  const program = await insertProgram(server, ['MESSAGES_READ', 'WEBHOOKS'], { seconds: 2 });
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(program, receiver.url, { document: 'subscription { allEvents { cursor } }' });
  await receiver.until(({ received }) => received.length === 1);
  await expect
    .poll(() => webhookOf(root, id), { timeout: 10_000 })
    .toMatchObject({ status: 'PAUSED', lastError: 'The API key has expired.' });
});

test('a key with ADMIN pauses and deletes the webhooks of others, as admins do, but does not change what they send', async () => {
  const program = await insertProgram(server, ['WEBHOOKS', 'ADMIN', 'USERS_READ', 'CHATS_READ', 'MESSAGES_READ']);
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(root, receiver.url);
  expect(await updateWebhook(program, id, { document: 'subscription { allEvents { cursor } }' })).toMatchObject({
    __typename: 'Forbidden',
    message: expect.stringContaining('rights of its owner'),
  });
  expect(await updateWebhook(program, id, { isPaused: true })).toMatchObject({ status: 'PAUSED' });
  expect(await deleteWebhook(program, id)).toMatchObject({ __typename: 'Webhook' });
});

test('two requests at once cannot both create the last webhook that a server may have', async () => {
  const program = await insertProgram(server, ['MESSAGES_READ', 'WEBHOOKS']);
  await server.sql.query('delete from webhooks');
  await server.sql.query(
    `insert into webhooks (api_key_id, url, document, cursor, secret, status)
    select $1, 'https://example.com/', 'subscription { allEvents { cursor } }', '000000000000.0', sha256('x'), 'PAUSED'
    from generate_series(1, 499)`,
    [keyOf(program.keyId)],
  );
  const input = { url: 'http://127.0.0.1:9/', document: 'subscription { allEvents { cursor } }' };
  const created = await Promise.all(
    [program, root, program].map((by) => askForWebhook(by, by === root ? { url: input.url } : input)),
  );
  expect(created.filter(({ __typename }) => __typename === 'CreatedWebhook')).toHaveLength(1);
  expect(created.filter(({ __typename }) => __typename === 'InvalidInput')).toHaveLength(2);
  await server.sql.query('delete from webhooks');
});

test('a program sees and changes only its own webhooks', async () => {
  const [one, other] = [await createBot('one_bot', ['WEBHOOKS']), await createBot('other_bot', ['WEBHOOKS'])];
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(one, receiver.url);
  expect(await webhookOf(other, id)).toBeNull();
  expect(await updateWebhook(other, id, { isPaused: true })).toMatchObject({ __typename: 'NotFound' });
  expect(await updateWebhook(one, id, { document: webhookDocument })).toMatchObject({ __typename: 'Webhook' });
  const apiKey = { id: one.keyId };
  const read = 'query ($id: ID!) { node(id: $id) { ... on Webhook { owner { id } apiKey { id } } } }';
  for (const by of [one, root]) expect((await by.ask(read, { id })).node).toEqual({ owner: null, apiKey });
  // Only admins see the name of a key.
  const name = '{ admin { webhooks(first: 1) { edges { node { apiKey { name } } } } } }';
  expect((await root.ask(name)).admin.webhooks.edges).toEqual([{ node: { apiKey: { name: 'Shop' } } }]);
  const { errors } = await server.post(
    'query ($id: ID!) { node(id: $id) { ... on Webhook { apiKey { name } } } }',
    { id },
    { token: one.token },
  );
  expect(errors?.[0]?.extensions?.['code']).toBe('FORBIDDEN');
  const { rows } = await server.sql.query(
    `select action, api_key_id::text as key from audit_entries where target_type = 'Webhook' and target_key = $1 order by id`,
    [keyOf(id)],
  );
  expect(rows).toEqual([
    { action: 'CREATE_WEBHOOK', key: keyOf(one.keyId) },
    { action: 'UPDATE_WEBHOOK', key: keyOf(one.keyId) },
  ]);
});
