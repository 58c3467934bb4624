import { expect, test } from 'vitest';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUpAll } from '../support/client.ts';
import { sharedServer } from '../support/shared-server.ts';

const server = await sharedServer();
const [ada, grace] = await signUpAll(server, 'ada', 'grace');
const chatId = await createGroup(ada, [grace]);
await Promise.all(Array.from({ length: 50 }, () => say(ada, chatId, '🐙'.repeat(10_000))));

/** A page that may be as large as 4 MB. */
const page = `query ($id: ID!) { chat(id: $id) { messages(last: 100) { edges { node { content } } } } }`;

const queryAtOnce = (count: number, id = chatId) => Array.from({ length: count }, () => ada.post(page, { id }));

test('one person’s large operations run one after the other, and other people are served in between', async () => {
  const order: string[] = [];
  const answers = queryAtOnce(28).map((answer) => answer.finally(() => order.push('page')));
  await Promise.race(answers);
  await say(grace, chatId, 'hello');
  order.push('hello');
  for (const { errors } of await Promise.all(answers)) expect(errors).toBeUndefined();
  expect(order.indexOf('hello')).toBeLessThan(14);
});

test('when too many of one person’s large operations are in progress, further ones are refused, but no one else’s', async () => {
  // This page could be large, but it is not.
  const answers = Promise.all(queryAtOnce(300, await createGroup(ada, [grace])));
  expect(await grace.ask(page, { id: chatId })).toMatchObject({ chat: { messages: {} } });
  const refused = (await answers).filter(({ errors }) => errors !== undefined);
  expect(refused.length).toBeGreaterThan(0);
  for (const { errors, headers } of refused) {
    expect(errors?.[0]?.message).toBe('Too many of your large operations are in progress: at most 50 are allowed.');
    expect(errors?.[0]?.extensions?.['code']).toBe('RATE_LIMITED');
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  }
});

test('a mutation with a large response takes its turn as well, and has no effect when it is refused', async () => {
  const group = await createGroup(ada, [grace]);
  const send = `mutation ($id: ID!) {
    sendMessage(input: { chatId: $id, content: "hello" }) { ... on Message { chat { messages(last: 50) { edges { node { content } } } } } }
  }`;
  const answers = await Promise.all(Array.from({ length: 60 }, () => ada.post(send, { id: group })));
  const refused = answers.flatMap(({ errors }) => errors ?? []);
  expect(new Set(refused.map(({ extensions }) => extensions?.['code']))).toEqual(new Set(['RATE_LIMITED']));
  const seqs = await ada.ask(`query ($id: ID!) { chat(id: $id) { messages(last: 1) { edges { node { seq } } } } }`, {
    id: group,
  });
  expect(seqs.chat.messages.edges[0].node.seq).toBe(60 - refused.length);
});

test('a mutation with a large response that waits for a lock delays none of its sender’s other operations', async () => {
  const group = await createGroup(ada, [grace]);
  const send = `mutation ($id: ID!) {
    sendMessage(input: { chatId: $id, content: "waits" }) { ... on Message { chat { messages(last: 50) { edges { node { content } } } } } }
  }`;
  const client = await server.sql.connect();
  await client.query('begin');
  await client.query('select from chats where id = $1 for update', [keyOf(group)]);
  let isSent = false;
  const sending = ada.ask(send, { id: group }).finally(() => (isSent = true));
  for (const { errors } of await Promise.all(queryAtOnce(2))) expect(errors).toBeUndefined();
  expect(isSent).toBe(false);
  await client.query('rollback');
  client.release();
  expect(await sending).toMatchObject({ sendMessage: { chat: { messages: { edges: [{}] } } } });
});
