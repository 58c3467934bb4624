import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { createProgram } from '../support/api-key.ts';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUpAll, type Person } from '../support/client.ts';
import { atFileEnd } from '../support/file-end.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { setRoleWithSql } from '../support/staff.ts';
import {
  askForWebhook,
  createWebhook,
  rotateSecret,
  updateWebhook,
  webhookEnv,
  webhookOf,
  WebhookReceiver,
  webhookTimes,
} from '../support/webhook.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let chat: string;
beforeAll(async () => {
  server = await startServer({ env: webhookEnv, overrides: { webhookTimes } });
  [ada, grace] = await signUpAll(server, 'ada', 'grace');
  await setRoleWithSql(server, ada, 'ADMIN');
  chat = await createGroup(grace, [ada]);
});

afterEach(() => server.sql.query('delete from webhooks'));

/** Starts a receiver on which `answer` writes raw text to the socket whenever data arrives. Returns its URL. */
async function startRaw(answer: (socket: Socket) => void): Promise<string> {
  const raw: Server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => answer(socket));
  });
  raw.listen(0, '127.0.0.1');
  await once(raw, 'listening');
  atFileEnd(() => raw.close());
  return `http://127.0.0.1:${(raw.address() as AddressInfo).port}/hook`;
}

/** Waits until the message has arrived and the webhook has saved the cursor of the last event. */
async function expectDelivered(by: Person, id: string, receiver: WebhookReceiver, content: string): Promise<void> {
  await receiver.until(({ contents }) => contents.includes(content));
  const cursor = receiver.events.at(-1)?.id;
  await expect.poll(async () => (await webhookOf(by, id)).cursor, { timeout: 5_000 }).toBe(cursor);
}

test('a receiver that answers with a status outside HTTP does not keep other webhooks from being saved', async () => {
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(ada, receiver.url);
  const url = await startRaw((socket) => socket.write('HTTP/1.1 001 x\r\ncontent-length: 0\r\n\r\n'));
  const hostile = await createWebhook(ada, url);
  await expect.poll(async () => (await webhookOf(ada, hostile.id)).status, { timeout: 5_000 }).toBe('FAILING');
  await say(grace, chat, 'after the strange status');
  await expectDelivered(ada, id, receiver, 'after the strange status');
});

test('an error that quotes a long name pauses its webhook alone', async () => {
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(ada, receiver.url);
  const other = await createWebhook(ada, (await WebhookReceiver.start()).url);
  // This is the state after an upgrade that has removed a field.
  await server.sql.query('update webhooks set document = $2 where id = $1', [
    keyOf(other.id),
    `subscription { events { ${'x'.repeat(3_000)} } }`,
  ]);
  await expect.poll(async () => (await webhookOf(ada, other.id)).status, { timeout: 5_000 }).toBe('PAUSED');
  await say(grace, chat, 'after the long name');
  await expectDelivered(ada, id, receiver, 'after the long name');
});

test('a receiver that never ends its answers has one connection at a time', async () => {
  let open = 0;
  let most = 0;
  let answered = 0;
  const url = await startRaw((socket) => {
    answered += 1;
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n');
    open += 1;
    most = Math.max(most, open);
    socket.once('close', () => (open -= 1));
  });
  await createWebhook(ada, url);
  for (let count = 0; count < 3; count += 1) await say(grace, chat, `slow ${count}`);
  await expect.poll(() => answered, { timeout: 12_000 }).toBeGreaterThanOrEqual(4);
  expect(most).toBe(1);
}, 20_000);

test('a program that acts as an admin gets no webhook with the rights of that admin', async () => {
  const program = (await createProgram(server, ada, ['ADMIN', 'ACT_AS', 'WEBHOOKS'])).as(ada.userId);
  const receiver = await WebhookReceiver.start();
  expect(await askForWebhook(program, { url: receiver.url })).toMatchObject({ __typename: 'Forbidden' });
  const { id } = await createWebhook(ada, receiver.url);
  expect(await updateWebhook(program, id, { url: `${receiver.url}/other` })).toMatchObject({ __typename: 'Forbidden' });
  expect(await rotateSecret(program, id)).toMatchObject({ __typename: 'Forbidden' });
});

test('a document for which the key lacks scopes is refused', async () => {
  const program = await createProgram(server, ada, ['WEBHOOKS', 'USERS_READ']);
  const receiver = await WebhookReceiver.start();
  expect(await askForWebhook(program, { url: receiver.url })).toMatchObject({
    __typename: 'Forbidden',
    message: 'events: This API key lacks the scopes CHATS_READ and MESSAGES_READ.',
  });
  const allEvents = 'subscription { allEvents { cursor event { ... on NewMessage { message { content } } } } }';
  const reader = await createProgram(server, ada, ['WEBHOOKS', 'MESSAGES_READ', 'USERS_READ']);
  const { id } = await createWebhook(reader, receiver.url, { document: allEvents });
  const withChat = 'subscription { allEvents { cursor event { ... on NewMessage { message { chat { name } } } } } }';
  expect(await updateWebhook(reader, id, { document: withChat })).toMatchObject({
    __typename: 'Forbidden',
    message: 'Chat.name: This API key lacks the scope CHATS_READ.',
  });
  expect(await webhookOf(reader, id)).toMatchObject({ status: 'ACTIVE', document: allEvents });
});
