import { beforeAll, expect, test } from 'vitest';
import { createGroup } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
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
const rename = 'mutation ($chatId: ID!) { updateChat(input: { chatId: $chatId, name: "engine" }) { __typename } }';

function post(query: string, accept = 'application/json'): Promise<Response> {
  return fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept, authorization: `Bearer ${ada.token}` },
    body: JSON.stringify({ query, variables: { chatId } }),
  });
}

test('a burst passes; then each message is refused with the time to retry, whichever way it is sent', async () => {
  const burst = await Promise.all(Array.from({ length: 12 }, () => ada.post(send, { chatId })));
  expect(burst.map(({ errors }) => errors)).toEqual(Array.from({ length: 12 }));
  // The second is answered by Yoga.
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

test('a mutation without a limit of its own counts as a change', async () => {
  const codes = [];
  for (let index = 0; index < 6; index += 1) {
    codes.push((await ada.post(rename, { chatId })).errors?.[0]?.extensions?.['code']);
  }
  expect(codes).toEqual([...Array.from({ length: 5 }), 'RATE_LIMITED']);
});

test('each search of one request counts', async () => {
  const aliases = ['a', 'b', 'c', 'd'].map((name) => `${name}: users(search: "gra") { pageInfo { hasNextPage } }`);
  const { errors } = await ada.post(`{ ${aliases.join(' ')} }`);
  expect(errors).toMatchObject([{ path: ['d'], extensions: { code: 'RATE_LIMITED' } }]);
});
