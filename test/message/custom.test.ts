import { beforeAll, expect, test } from 'vitest';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUpAll, type Data, type Person } from '../support/client.ts';
import { deleteMessage, editMessage } from '../support/message.ts';
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

async function send(custom: unknown, more: object = {}): Promise<Data> {
  const document = `mutation ($input: SendMessageInput!) {
    sendMessage(input: $input) {
      __typename ... on Message { id custom } ... on InvalidInput { fields { path code } }
    }
  }`;
  return (await ada.post(document, { input: { chatId, content: 'hi', custom, ...more } })).data?.sendMessage;
}

async function customOf(by: Person, id: string): Promise<unknown> {
  return (await by.ask('query ($id: ID!) { node(id: $id) { ... on Message { custom } } }', { id })).node.custom;
}

const card = { order: 42, lines: [{ sku: 'ä"b', price: 1.5e-7 }], paid: true, note: null };

test("a message's custom data reaches its readers and open streams, and an edit leaves it alone", async () => {
  const document = `subscription { events { event { __typename ... on NewMessage { message { custom } } } } }`;
  await using stream = await followEvents(server, grace, { document });
  const { id, custom } = await send(card);
  expect(custom).toEqual(card);
  expect(eventOf(await stream.next('NewMessage'))).toMatchObject({ message: { custom: card } });
  await editMessage(ada, id, 'changed');
  expect(await customOf(grace, id)).toEqual(card);
});

test('without custom data, or with null, a message has an empty object', async () => {
  expect(await customOf(grace, await say(ada, chatId, 'plain'))).toEqual({});
  expect(await send(null)).toMatchObject({ custom: {} });
});

test('a deletion empties it, whichever client deletes the message', async () => {
  const { id } = await send(card);
  await deleteMessage(ada, id);
  expect(await customOf(grace, id)).toEqual({});
  const another = await send(card);
  await server.sql.query('delete from messages where id = $1', [keyOf(another.id)]);
  expect(await customOf(grace, another.id)).toEqual({});
});

test('the same clientMessageId with other custom data is a conflict; with the same, it is the first message', async () => {
  const first = await send(card, { clientMessageId: 'order 42' });
  expect(await send(card, { clientMessageId: 'order 42' })).toEqual(first);
  expect(await send({ ...card, paid: false }, { clientMessageId: 'order 42' })).toMatchObject({
    __typename: 'Conflict',
  });
});

const nested = (depth: number): unknown => (depth === 1 ? {} : { a: nested(depth - 1) });

test.each([
  ['a NUL', { a: 'b\0c' }, 'MALFORMED'],
  ['a NUL in a name', { 'b\0c': 1 }, 'MALFORMED'],
  ['half a character', { a: '\ud800' }, 'MALFORMED'],
  ['more than 32 levels', nested(33), 'MALFORMED'],
  ['numbers that PostgreSQL would store in more than 4 KiB', { a: Array(20).fill(1e300) }, 'TOO_LONG'],
])('custom data with %s is refused', async (_, custom, code) => {
  expect(await send(custom)).toEqual({ __typename: 'InvalidInput', fields: [{ path: ['custom'], code }] });
});

test.each([
  ['32 levels', nested(32)],
  ['4 KiB, as PostgreSQL writes it', { a: 'x'.repeat(4_096 - '{"a": ""}'.length) }],
  ['unusual numbers', { a: [1e21, -1.5e300, 5e-324, 1.7976931348623157e308, 0.1] }],
  ['a property that JavaScript treats in its own way', JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}')],
])('custom data with %s is stored as it is', async (_, custom) => {
  expect(JSON.stringify((await send(custom)).custom)).toBe(JSON.stringify(custom));
});

test('the database counts as the server does: one byte more is refused by both', async () => {
  const custom = { a: 'x'.repeat(4_097 - '{"a": ""}'.length) };
  expect(await send(custom)).toMatchObject({ __typename: 'InvalidInput', fields: [{ code: 'TOO_LONG' }] });
  for (const table of ['users', 'chats', 'messages']) {
    for (const refused of [custom, [], 'text', null]) {
      const changing = server.sql.query(`update ${table} set custom = $1 where id = (select max(id) from ${table})`, [
        JSON.stringify(refused),
      ]);
      await expect(changing, `${table} ${JSON.stringify(refused).slice(0, 10)}`).rejects.toMatchObject({
        code: '23514',
      });
    }
  }
});

test.each([
  ['a list', []],
  ['a text', 'x'],
  ['more than 4 KiB', { a: 'x'.repeat(5_000) }],
])('custom data that is %s is not an input', async (_, custom) => {
  expect(await send(custom)).toBeUndefined();
});
