import { beforeAll, expect, test } from 'vitest';
import { pruneSlowModeTurns } from '../../src/chat/slow-mode.ts';
import { createChat, createGroup, createPublicChannel, keyOf, say, sendMessage } from '../support/chat.ts';
import { post, signUpAll, type Answer, type Person } from '../support/client.ts';
import { joinChat, leaveChat, setMemberRole, updateChat } from '../support/membership.ts';
import { deleteMessage, editMessage } from '../support/message.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { eventOf, followEvents } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

const sendDocument = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename ... on Message { id } } }`;

/** Sends a message. Returns the whole response. */
function send(by: Person, chatId: string, more: object = {}, node: TestServer = server): Promise<Answer> {
  return post(node.url, sendDocument, { input: { chatId, content: 'hello', ...more } }, { token: by.token });
}

/** Creates a group with Ada and Grace in which members must wait `seconds` seconds between messages. */
async function createSlowGroup(seconds: number): Promise<string> {
  const chat = await createGroup(ada, [grace]);
  expect(await updateChat(ada, chat, { slowModeSeconds: seconds })).toMatchObject({ __typename: 'Chat' });
  return chat;
}

/** Simulates the passage of time for a chat. */
const wait = (chatId: string, seconds: number) =>
  server.sql.query(`update slow_mode_turns set sent_at = sent_at - $2 * interval '1 second' where chat_id = $1`, [
    keyOf(chatId),
    seconds,
  ]);

test('a member waits between messages, and learns how long', async () => {
  const chat = await createSlowGroup(60);
  const first = await say(grace, chat, 'hello');
  const refused = await send(grace, chat);
  expect(refused.errors).toMatchObject([{ extensions: { code: 'RATE_LIMITED' } }]);
  const retryAfter = Number(refused.errors?.[0]?.extensions?.['retryAfterSeconds']);
  expect(retryAfter).toBeGreaterThan(50);
  expect(retryAfter).toBeLessThanOrEqual(60);
  expect(refused.headers.get('retry-after')).toBe(String(retryAfter));
  // Members can still edit the messages that they have sent.
  expect(await editMessage(grace, first, 'hello!')).toMatchObject({ __typename: 'Message' });
  await wait(chat, 30);
  expect((await send(grace, chat)).errors?.[0]?.extensions?.['retryAfterSeconds']).toBeLessThanOrEqual(30);
  await wait(chat, 30);
  expect((await send(grace, chat)).data.sendMessage).toMatchObject({ __typename: 'Message' });
});

test('owners and admins do not wait, and other chats are not slowed', async () => {
  const chat = await createSlowGroup(60);
  for (let count = 0; count < 3; count += 1) await say(ada, chat, 'from the owner');
  await setMemberRole(ada, chat, grace.userId, 'ADMIN');
  for (let count = 0; count < 3; count += 1) await say(grace, chat, 'from an admin');
  await setMemberRole(ada, chat, grace.userId, 'MEMBER');
  await say(grace, chat, 'from a member');
  expect((await send(grace, chat)).errors).toBeDefined();
  const other = await createGroup(ada, [grace]);
  for (let count = 0; count < 3; count += 1) await say(grace, other, 'elsewhere');
});

test('a repeated request is answered, and a refused message does not take a turn', async () => {
  const chat = await createSlowGroup(60);
  const unknown = Buffer.from('Message:999999').toString('base64url');
  expect(await sendMessage(grace, chat, 'a reply', { replyToId: unknown })).toMatchObject({
    __typename: 'InvalidInput',
  });
  const file = Buffer.from('File:999999').toString('base64url');
  expect(await sendMessage(grace, chat, 'a file', { fileIds: [file] })).toMatchObject({ __typename: 'InvalidInput' });
  const id = await say(grace, chat, 'hello', { clientMessageId: 'one' });
  expect((await send(grace, chat, { clientMessageId: 'one' })).data.sendMessage).toMatchObject({ id });
  expect((await send(grace, chat, { clientMessageId: 'two' })).errors).toBeDefined();
});

test('neither deleting the message nor leaving and coming back gives the turn back', async () => {
  const channel = await createPublicChannel(ada);
  await updateChat(ada, channel, { slowModeSeconds: 60 });
  await joinChat(grace, channel);
  await deleteMessage(grace, await say(grace, channel, 'hello'));
  await leaveChat(grace, channel);
  await joinChat(grace, channel);
  expect((await send(grace, channel)).errors).toMatchObject([{ extensions: { code: 'RATE_LIMITED' } }]);
});

test('of several messages of one member at the same time on two nodes, one is sent', async () => {
  for (let round = 0; round < 5; round += 1) {
    const chat = await createSlowGroup(60);
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, index) => send(grace, chat, {}, index % 2 === 0 ? server : otherNode)),
    );
    expect(answers.filter(({ errors }) => errors === undefined)).toHaveLength(1);
    const { chat: seen } = await ada.ask('query ($id: ID!) { chat(id: $id) { lastSeq } }', { id: chat });
    expect(seen.lastSeq).toBe(1);
  }
});

test('owners and admins set slow mode, up to 6 hours, and members receive ChatUpdated', async () => {
  const chat = await createGroup(ada, [grace, linus]);
  await setMemberRole(ada, chat, linus.userId, 'ADMIN');
  const secondsSeenBy = async (by: Person) =>
    (await by.ask('query ($id: ID!) { chat(id: $id) { slowModeSeconds } }', { id: chat })).chat.slowModeSeconds;
  expect(await secondsSeenBy(grace)).toBe(0);
  const document = `subscription { events { event { __typename ... on ChatUpdated { chat { slowModeSeconds } } } } }`;
  await using stream = await followEvents(server, grace, { document });
  expect(await updateChat(linus, chat, { slowModeSeconds: 30 })).toMatchObject({ __typename: 'Chat' });
  expect(eventOf(await stream.next('ChatUpdated'))).toMatchObject({ chat: { slowModeSeconds: 30 } });
  expect(await updateChat(grace, chat, { slowModeSeconds: 0 })).toMatchObject({ __typename: 'Forbidden' });
  for (const slowModeSeconds of [-1, 21_601]) {
    expect(await updateChat(ada, chat, { slowModeSeconds })).toMatchObject({
      fields: [{ path: ['slowModeSeconds'] }],
    });
  }
  await updateChat(ada, chat, { name: 'another name' });
  expect(await secondsSeenBy(grace)).toBe(30);
  for (const slowModeSeconds of [21_600, null]) await updateChat(ada, chat, { slowModeSeconds });
  expect(await secondsSeenBy(grace)).toBe(0);
  for (let count = 0; count < 2; count += 1) await say(grace, chat, 'fast again');
});

test('a single chat has no slow mode', async () => {
  const { id } = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  expect(await updateChat(ada, id, { slowModeSeconds: 5 })).toMatchObject({ __typename: 'Forbidden' });
  const bySql = server.sql.query('update chats set slow_mode_seconds = 5 where id = $1', [keyOf(id)]);
  await expect(bySql).rejects.toMatchObject({ constraint: 'a_single_chat_has_no_slow_mode' });
});

test('turns are deleted once they are older than the longest slow mode', async () => {
  const chat = await createSlowGroup(60);
  await say(grace, chat, 'hello');
  const count = async () =>
    (await server.sql.query('select from slow_mode_turns where chat_id = $1', [keyOf(chat)])).rowCount;
  await pruneSlowModeTurns(server.sql, 100);
  expect(await count()).toBe(1);
  await wait(chat, 21_601);
  await pruneSlowModeTurns(server.sql, 100);
  expect(await count()).toBe(0);
});
