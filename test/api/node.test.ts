import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

const nodesQuery = `query ($ids: [ID!]!) {
  nodes(ids: $ids) {
    __typename
    id
    ... on User { username }
    ... on Chat { name }
    ... on Message { content }
    ... on Member { role user { username } }
  }
}`;

test('objects of all types are returned by their ids, in the order in which they are requested', async () => {
  const chat = await createGroup(ada, [grace], 'engines');
  const message = await say(ada, chat, 'hello');
  const member = encodeId('Member', `${keyOf(chat)}_${keyOf(grace.userId)}`);
  const ids = [message, grace.userId, chat, member, message, ada.userId];
  const { nodes } = await ada.ask(nodesQuery, { ids });
  expect(nodes).toEqual([
    { __typename: 'Message', id: message, content: 'hello' },
    { __typename: 'User', id: grace.userId, username: 'grace' },
    { __typename: 'Chat', id: chat, name: 'engines' },
    { __typename: 'Member', id: member, role: 'MEMBER', user: { username: 'grace' } },
    { __typename: 'Message', id: message, content: 'hello' },
    { __typename: 'User', id: ada.userId, username: 'ada' },
  ]);
  for (const id of ids) {
    expect((await ada.ask('query ($id: ID!) { node(id: $id) { id } }', { id })).node).toEqual({ id });
  }
});

test('every id that the API returns leads back to its object', async () => {
  const chat = await createGroup(ada, [grace]);
  await say(ada, chat, 'first');
  await say(ada, chat, 'second');
  const shown = await ada.ask(
    `query ($id: ID!) {
      viewer { user { id } }
      chat(id: $id) { id members { edges { node { id } } } messages { edges { node { id sender { id } } } } }
    }`,
    { id: chat },
  );
  const ids = [...JSON.stringify(shown).matchAll(/"id":"([^"]+)"/g)].map(([, id]) => id);
  expect(ids).toHaveLength(8);
  expect((await ada.ask(nodesQuery, { ids })).nodes.map(({ id }: { id: string }) => id)).toEqual(ids);
});

test('a hidden or missing object is null among the others', async () => {
  const hidden = await createGroup(grace, [await signUp(server, 'linus')]);
  const message = await say(grace, hidden, 'not for her');
  const ids = [
    ada.userId,
    hidden,
    message,
    encodeId('Member', `${keyOf(hidden)}_${keyOf(grace.userId)}`),
    encodeId('User', 2n ** 62n),
    encodeId('Member', '7'),
    encodeId('Chat', '7_7'),
    encodeId('Nothing', 1),
  ];
  const { nodes } = await ada.ask(nodesQuery, { ids });
  expect(nodes.map((node: object | null) => node !== null)).toEqual([true, ...Array<boolean>(7).fill(false)]);
  expect((await grace.ask(nodesQuery, { ids })).nodes.slice(0, 4)).not.toContain(null);
});

test('a hundred objects can be requested together, and no more', async () => {
  const ids = Array.from({ length: 101 }, () => ada.userId);
  expect((await ada.ask(nodesQuery, { ids: ids.slice(1) })).nodes).toHaveLength(100);
  expect((await ada.ask(nodesQuery, { ids: [] })).nodes).toEqual([]);
  const { data, errors } = await ada.post(nodesQuery, { ids });
  expect(data ?? null).toBeNull();
  expect(errors).toMatchObject([
    { message: expect.stringContaining('at most 100'), extensions: { code: 'BAD_REQUEST' } },
  ]);
});

test('an invalid id is answered with BAD_REQUEST', async () => {
  const base64url = (text: string) => Buffer.from(text).toString('base64url');
  const wrong = [
    '',
    'nonsense',
    '1',
    base64url('User:'),
    base64url('User:x'),
    base64url('User:-1'),
    base64url('User:01'),
    base64url('user:1'),
    base64url('User:9223372036854775808'),
    `${encodeId('User', 1)}=`,
    Buffer.from('User:1').toString('hex'),
    'x'.repeat(10_000),
  ];
  for (const id of wrong) {
    const one = await ada.post('query ($id: ID!) { node(id: $id) { id } }', { id });
    expect(one).toMatchObject({ data: { node: null }, errors: [{ extensions: { code: 'BAD_REQUEST' } }] });
    const many = await ada.post(nodesQuery, { ids: [ada.userId, id] });
    expect(many.errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
    const chat = await ada.post('query ($id: ID!) { chat(id: $id) { id } }', { id });
    expect(chat).toMatchObject({ data: { chat: null }, errors: [{ extensions: { code: 'BAD_REQUEST' } }] });
  }
});

test('an id of another type does not name a chat', async () => {
  const { data, errors } = await ada.post('query ($id: ID!) { chat(id: $id) { id } }', { id: ada.userId });
  expect(data).toEqual({ chat: null });
  expect(errors).toMatchObject([{ message: 'id: is not the id of a Chat', extensions: { code: 'BAD_REQUEST' } }]);
});

test('a signed-out client finds nothing', async () => {
  expect(await server.ask(nodesQuery, { ids: [ada.userId, ada.userId] })).toEqual({ nodes: [null, null] });
});
