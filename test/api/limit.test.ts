import { beforeAll, describe, expect, test } from 'vitest';
import { createGroup, say } from '../support/chat.ts';
import { signUp, signUpAll, type Person, type Variables } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let ada: Person;
let chatId: string;

beforeAll(async () => {
  server = await startServer({
    env: { RATE_LIMITS: 'on', RATE_LIMIT_SENDS: '12/1m', RATE_LIMIT_SEARCHES: '3/1m', RATE_LIMIT_CHANGES: '5/1m' },
  });
  ada = await signUp(server, 'ada');
  chatId = await createGroup(ada, [await signUp(server, 'grace')]);
});

const send = 'mutation ($chatId: ID!) { sendMessage(input: { chatId: $chatId, content: "hello" }) { __typename } }';
/** A message that counts as ten messages. */
const sendLong = send.replace('hello', 'word '.repeat(1_990));
const rename = 'mutation ($chatId: ID!) { updateChat(input: { chatId: $chatId, name: "engine" }) { __typename } }';

function post(query: string, accept = 'application/json'): Promise<Response> {
  return fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept, authorization: `Bearer ${ada.token}` },
    body: JSON.stringify({ query, variables: { chatId } }),
  });
}

test('a burst is accepted; then each message is refused with the time after which to retry, whichever way it is sent', async () => {
  const burst = await Promise.all(Array.from({ length: 12 }, () => ada.post(send, { chatId })));
  expect(burst.map(({ errors }) => errors)).toEqual(Array.from({ length: 12 }));
  // The second client prefers HTML, but accepts JSON.
  for (const accept of ['application/json', 'text/html, application/json;q=0.9']) {
    const refused = await post(send, accept);
    expect(await refused.json()).toMatchObject({
      errors: [
        { extensions: { code: 'RATE_LIMITED', retryAfterSeconds: expect.any(Number), limit: 'RATE_LIMIT_SENDS' } },
      ],
    });
    const seconds = Number(refused.headers.get('retry-after'));
    expect(seconds).toBeGreaterThan(0);
    expect(refused.headers.get('ratelimit-policy')).toBe('"RATE_LIMIT_SENDS";q=12;w=60');
    expect(refused.headers.get('ratelimit')).toBe(`"RATE_LIMIT_SENDS";r=0;t=${seconds}`);
  }
});

test('a long message is sent even if it counts for more than the limit, and uses up all of it', async () => {
  await using strict = await startServer({ env: { RATE_LIMITS: 'on', RATE_LIMIT_SENDS: '3/1m' } });
  const [grace, linus] = await signUpAll(strict, 'grace', 'linus');
  const id = await createGroup(grace, [linus]);
  expect((await grace.post(sendLong, { chatId: id })).errors).toBeUndefined();
  expect((await grace.post(send, { chatId: id })).errors).toMatchObject([
    { extensions: { limit: 'RATE_LIMIT_SENDS' } },
  ]);
});

test('a mutation without its own limit counts as a change', async () => {
  const codes = [];
  for (let index = 0; index < 6; index += 1) {
    codes.push((await ada.post(rename, { chatId })).errors?.[0]?.extensions?.['code']);
  }
  expect(codes).toEqual([...Array.from({ length: 5 }), 'RATE_LIMITED']);
});

test('each search of one request counts, and a refusal by GET has the same headers', async () => {
  const aliases = ['a', 'b', 'c', 'd'].map((name) => `${name}: users(search: "gra") { pageInfo { hasNextPage } }`);
  const { errors } = await ada.post(`{ ${aliases.join(' ')} }`);
  expect(errors).toMatchObject([{ path: ['d'], extensions: { code: 'RATE_LIMITED' } }]);
  // Yoga handles a GET.
  const query = encodeURIComponent('{ users(search: "gra") { pageInfo { hasNextPage } } }');
  const refused = await fetch(`${server.url}/graphql?query=${query}`, {
    headers: { accept: 'application/json', authorization: `Bearer ${ada.token}` },
  });
  expect(await refused.json()).toMatchObject({
    errors: [{ extensions: { code: 'RATE_LIMITED', limit: 'RATE_LIMIT_SEARCHES' } }],
  });
  const seconds = Number(refused.headers.get('retry-after'));
  expect(seconds).toBeGreaterThan(0);
  expect(refused.headers.get('ratelimit')).toBe(`"RATE_LIMIT_SEARCHES";r=0;t=${seconds}`);
});

describe('at the default settings', () => {
  /** Returns how many of these operations are answered, and the limits that refuse the others. */
  async function countUntilRefused(by: Person, operations: [string, Variables][]) {
    const answers = await Promise.all(operations.map(([document, variables]) => by.post(document, variables)));
    const refusals = answers.flatMap(({ errors }) => errors ?? []);
    expect(new Set(refusals.map(({ extensions }) => extensions?.['code']))).toEqual(new Set(['RATE_LIMITED']));
    const limits = [...new Set(refusals.map(({ extensions }) => extensions?.['limit']))];
    return { passed: answers.length - refusals.length, limits };
  }

  const repeat = (count: number, operation: (index: number) => [string, Variables]) =>
    Array.from({ length: count }, (_, index) => operation(index));
  const addReaction = `mutation ($id: ID!, $emoji: String!) {
    addReaction(messageId: $id, emoji: $emoji) { __typename }
  }`;
  const removeReaction = addReaction.replaceAll('addReaction', 'removeReaction');
  const createChat = `mutation ($name: String!, $memberIds: [ID!]!) {
    createChat(input: { type: GROUP, name: $name, memberIds: $memberIds }) { __typename }
  }`;

  test('a flood of messages, reactions, chats or members is refused, but only far beyond what a person does by hand', async () => {
    await using usual = await startServer({ env: { RATE_LIMITS: 'on' } });
    const [grace, linus, other] = await signUpAll(usual, 'grace', 'linus', 'other');
    const own = await createGroup(grace, [linus]);
    const others = await createGroup(other, [linus]);
    const messageId = await say(grace, own, 'look');

    // This is like a user who pastes a few lines.
    const pasted = await Promise.all(repeat(30, () => [send, { chatId: own }]).map((each) => grace.post(...each)));
    expect(pasted.flatMap(({ errors }) => errors ?? [])).toEqual([]);
    // A single device reaches the limit of its session before that of its account.
    const sends = await countUntilRefused(
      grace,
      repeat(120, () => [sendLong, { chatId: own }]),
    );
    expect(sends).toMatchObject({ limits: ['RATE_LIMIT_SENDS_PER_SESSION'] });
    expect(sends.passed).toBeGreaterThan(60);
    const reactions = await countUntilRefused(
      grace,
      repeat(300, (index) => [index % 2 === 0 ? addReaction : removeReaction, { id: messageId, emoji: '👍' }]),
    );
    expect(reactions).toMatchObject({ limits: ['RATE_LIMIT_REACTIONS_PER_SESSION'] });
    const chats = await countUntilRefused(
      grace,
      repeat(150, (index) => [createChat, { name: `chat ${index}`, memberIds: [] }]),
    );
    expect(chats).toMatchObject({ limits: ['RATE_LIMIT_NEW_CHATS_PER_SESSION'] });
    for (const { passed } of [reactions, chats]) expect(passed).toBeGreaterThan(9);
    expect((await other.post(send, { chatId: others })).errors).toBeUndefined();
  });
});
