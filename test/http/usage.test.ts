import { describe, expect, test } from 'vitest';
import { operationLimits } from '../../src/api/measure.ts';
import { printPossibleTypes } from '../../src/api/schema.ts';
import { schema } from '../../src/edges.ts';
import { createGroup } from '../support/chat.ts';
import { signUpAll } from '../support/client.ts';
import { startServer } from '../support/server.ts';

const server = await startServer({
  env: { RATE_LIMITS: 'on', RATE_LIMIT_SENDS: '4/1h', RATE_LIMIT_SENDS_PER_SESSION: '3/1h' },
});
const [ada, grace] = await signUpAll(server, 'ada', 'grace');
const chatId = await createGroup(ada, [grace]);
const headersOf = ({ headers }: { headers: Headers }) => ({
  cost: headers.get('parley-cost'),
  limit: headers.get('ratelimit'),
  policy: headers.get('ratelimit-policy'),
});
const send = `mutation ($chatId: ID!) {
  sendMessage(input: { chatId: $chatId, content: "Hello" }) { __typename }
}`;

describe('the headers of an answer', () => {
  test('tell what the operation costs, however it is sent', async () => {
    const query = '{ viewer { user { id } chats(first: 10) { edges { node { id } } } } }';
    const { cost, limit } = headersOf(await ada.post(query));
    expect(limit).toBeNull();
    expect(Number(cost)).toBeGreaterThan(10);
    const search = `query=${encodeURIComponent(query)}`;
    const headers = { authorization: `Bearer ${ada.token}` };
    const byGet = await fetch(`${server.url}/graphql?${search}`, { headers });
    const urql = await fetch(`${server.url}/graphql?${search}`, {
      headers: { ...headers, accept: 'application/json, text/event-stream' },
    });
    expect([headersOf(byGet).cost, headersOf(urql).cost]).toEqual([cost, cost]);
    const byRest = await fetch(`${server.url}/api/chats`, { headers });
    expect(Number(headersOf(byRest).cost)).toBeGreaterThan(10);
    const doubled = await ada.post(query.replace('10', '20'));
    expect(Number(headersOf(doubled).cost)).toBeGreaterThan(Number(cost));
  });

  test('tell it of an operation that is too large, too', async () => {
    const page = 'chats(first: 100) { edges { node { messages(first: 100) { edges { node { id content } } } } } }';
    const answer = await ada.post(`{ viewer { ${page} } }`);
    expect(answer.errors?.[0]?.message).toContain('too large');
    expect(Number(headersOf(answer).cost)).toBeGreaterThan(operationLimits.complexity);
  });

  test('tell which limit comes next, and how much of it is left', async () => {
    for (const remaining of [2, 1, 0]) {
      expect(headersOf(await ada.post(send, { chatId }))).toEqual({
        cost: expect.stringMatching(/^\d+$/),
        limit: expect.stringMatching(new RegExp(`^"RATE_LIMIT_SENDS_PER_SESSION";r=${remaining};t=3[56]\\d\\d$`)),
        policy: '"RATE_LIMIT_SENDS_PER_SESSION";q=3;w=3600',
      });
    }
    const refused = await ada.post(send, { chatId });
    expect(refused.errors?.[0]?.extensions).toMatchObject({ code: 'RATE_LIMITED' });
    expect(refused.headers.get('retry-after')).toMatch(/^3[56]\d\d$/);
    expect(headersOf(refused)).toMatchObject({
      limit: expect.stringContaining('"RATE_LIMIT_SENDS_PER_SESSION";r=0;t='),
      policy: '"RATE_LIMIT_SENDS_PER_SESSION";q=3;w=3600',
    });
  });

  test('are readable by scripts of other origins', async () => {
    const answer = await server.post('{ __typename }', {}, { headers: { origin: 'https://chat.example.com' } });
    const exposed = answer.headers.get('access-control-expose-headers')?.split(', ');
    expect(exposed).toEqual(expect.arrayContaining(['parley-cost', 'ratelimit', 'ratelimit-policy', 'retry-after']));
  });
});

describe('/schema.graphql', () => {
  const get = (headers: Record<string, string> = {}, method = 'GET') =>
    fetch(`${server.url}/schema.graphql`, { method, headers });

  test('serves the API as text, compressed where the client accepts that', async () => {
    const answer = await get({ 'accept-encoding': 'identity' });
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(answer.headers.get('content-encoding')).toBeNull();
    const text = await answer.text();
    expect(text).toContain('type Query {');
    expect(text).toContain('scalar DateTime @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc3339#section-5.6")');
    const compressed = await get({ 'accept-encoding': 'gzip' });
    expect(compressed.headers.get('content-encoding')).toBe('gzip');
    expect(await compressed.text()).toBe(text);
    expect(await (await get({}, 'HEAD')).text()).toBe('');
    expect((await get({}, 'POST')).status).toBe(405);
  });

  test('can be cached, and asked whether it has changed', async () => {
    const first = await get();
    const etag = first.headers.get('etag') ?? '';
    expect(first.headers.get('cache-control')).toBe('public, max-age=300');
    for (const tag of [etag, etag.replace('W/', ''), `"other", ${etag}`, '*']) {
      const again = await get({ 'if-none-match': tag });
      expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag]);
    }
    expect((await get({ 'if-none-match': '"other"' })).status).toBe(200);
  });
});

test('/possible-types.json serves the members of interfaces and unions, as Apollo Client takes them', async () => {
  const answer = await fetch(`${server.url}/possible-types.json`);
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
  const text = await answer.text();
  expect(text).toBe(printPossibleTypes(schema));
  const types = JSON.parse(text);
  expect(types.Error).toContain('InvalidInput');
  expect(types.SendMessageResult).toEqual(['Conflict', 'Forbidden', 'InvalidInput', 'Message', 'NotFound']);
});

test.each(['2030-01-01', '2030-01-01T10:00:00', '2030-01-01T10:00Z', '2030-13-01T10:00:00Z', 'tomorrow'])(
  'a DateTime that is not one of RFC 3339 is refused: %s',
  async (until) => {
    const ban = 'mutation ($until: DateTime) { muteMember(chatId: "x", userId: "x", until: $until) { __typename } }';
    const { errors } = await ada.post(ban, { until });
    expect(errors?.[0]?.message).toContain('A DateTime must be an instant with its offset from UTC');
  },
);
