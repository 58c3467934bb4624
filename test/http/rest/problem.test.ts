import { beforeAll, describe, expect, test } from 'vitest';
import { insertProgram } from '../../support/api-key.ts';
import { createGroup, createPublicChannel, say } from '../../support/chat.ts';
import { signUpAll, type Person } from '../../support/client.ts';
import { call, type RestAnswer, type RestOptions } from '../../support/rest.ts';
import { complaintsOf, startServer, type TestServer } from '../../support/server.ts';
import { sharedServer } from '../../support/shared-server.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let chatId: string;
let messageId: string;

beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
  chatId = await createGroup(ada, [grace]);
  messageId = await say(ada, chatId, 'hello');
});

const send = (request: string, options: RestOptions = {}) => call(server, request, options);
const path = (rest: string) => `/api/chats/${chatId}${rest}`;

/** Expects a problem with that status and code, in the format of RFC 9457. */
function expectProblem(answer: RestAnswer, status: number, code: string): void {
  expect(answer).toMatchObject({ status, body: { status, code } });
  expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(answer.body).toMatchObject({
    type: `urn:parley:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: expect.stringMatching(/\.$/),
    detail: expect.stringMatching(/\S/),
  });
}

describe('what is refused before anything is executed', () => {
  test.each([
    ['GET /api/nothing', 404, 'NOT_FOUND'],
    ['GET /api/', 404, 'NOT_FOUND'],
    ['GET /api/chats/', 404, 'NOT_FOUND'],
    ['GET /api/chats/a/b/c/d', 404, 'NOT_FOUND'],
    ['GET /api/__proto__', 404, 'NOT_FOUND'],
    ['DELETE /api/chats', 405, 'BAD_REQUEST'],
    ['POST /api/me', 405, 'BAD_REQUEST'],
    ['POST /api/chats/x', 405, 'BAD_REQUEST'],
    ['GET /api/chats/%E0%A4', 400, 'INVALID_INPUT'],
    ['GET /api/chats?limit=ten', 400, 'INVALID_INPUT'],
    ['GET /api/chats?limit=1e1', 400, 'INVALID_INPUT'],
    ['GET /api/chats?limit=99999999999', 400, 'INVALID_INPUT'],
    ['GET /api/chats?limit=1&limit=2', 400, 'INVALID_INPUT'],
    ['GET /api/chats?type=party', 400, 'INVALID_INPUT'],
    ['GET /api/chats?constructor=1', 400, 'INVALID_INPUT'],
    ['GET /api/users', 400, 'INVALID_INPUT'],
    ['GET /api/search?q=x&sentAfter=yesterday', 400, 'INVALID_INPUT'],
    [`GET /api/users?search=${'a'.repeat(14_000)}&${'b'.repeat(1_000)}=1`, 400, 'INVALID_INPUT'],
  ])('%s', async (request, status, code) => {
    expectProblem(await send(request, { by: ada }), status, code);
  });

  test('the refusal of another method names the allowed methods', async () => {
    expect((await send('DELETE /api/chats', { by: ada })).headers.get('allow')).toBe('POST, GET, HEAD');
  });

  test.each<[string, RestOptions, number]>([
    ['a body that is not JSON', { body: '{' }, 400],
    ['a body that is not an object', { body: '[]' }, 400],
    ['null', { body: 'null' }, 400],
    ['a form', { body: 'type=GROUP', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415],
    ['a body in another charset', { body: '{}', headers: { 'content-type': 'application/json; charset=latin1' } }, 415],
    ['a body that is too large', { body: { type: 'GROUP', name: 'x'.repeat(300_000) } }, 413],
    ['a client that accepts no JSON', { body: { type: 'GROUP' }, headers: { accept: 'text/html' } }, 406],
    ['an unknown property', { body: { type: 'GROUP', nmae: 'x' } }, 400],
    ['a property of Object', { body: '{"type":"GROUP","__proto__":{"name":"x"},"constructor":1}' }, 400],
    ['a list in place of a text', { body: { type: 'GROUP', name: ['x'] } }, 400],
    ['a text in place of a list', { body: { type: 'GROUP', memberIds: {} } }, 400],
    ['JSON that is nested deeply', { body: `{"type":"GROUP","name":${'['.repeat(50_000)}${']'.repeat(50_000)}}` }, 400],
    ['an alias beside what it stands for', { body: { type: 'SINGLE', user_id: 1, memberIds: [] } }, 400],
    ['a number that names no user', { body: { type: 'single', user_id: 1.5 } }, 400],
  ])('%s', async (_, options, status) => {
    const answer = await send('POST /api/chats', { by: ada, ...options });
    expect(answer).toMatchObject({ status, body: { status } });
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  });

  test('a list with an error in each of its entries costs no more than the errors that are reported', async () => {
    const memberIds = Array.from({ length: 80_000 }, () => ({}));
    const { status, body } = await send('POST /api/chats', { by: ada, body: { type: 'GROUP', memberIds } });
    expect(status).toBe(400);
    expect(body.fields).toHaveLength(50);
    expect(body.fields[49]).toMatchObject({ path: ['memberIds', '49'], code: 'MALFORMED' });
  });

  test('each parameter that is wrong is named as the client knows it', async () => {
    const body = { name: 'x'.repeat(65), type: 'group', memberIds: [chatId, 'nonsense'] };
    const { body: told } = await send('POST /api/chats', { by: ada, body });
    expect(told.fields).toMatchObject([{ path: ['memberIds', '0'], code: 'MALFORMED' }]);
    const { body: page } = await send(`GET ${path('/members?limit=1000')}`, { by: ada });
    expect(page).toMatchObject({ code: 'INVALID_INPUT', fields: [{ path: ['limit'], code: 'NOT_ALLOWED' }] });
    expect(page.detail).toBe('limit: must be from 0 to 100');
    const { body: cursor } = await send(`GET ${path('/messages?cursor=x')}`, { by: ada });
    expect(cursor.fields).toMatchObject([{ path: ['cursor'], code: 'MALFORMED' }]);
    const { body: search } = await send(`GET /api/search?q=x&chatId=${ada.userId}`, { by: ada });
    expect(search.fields).toMatchObject([{ path: ['chatId'], code: 'MALFORMED' }]);
    const { body: large } = await send(`GET ${path('/messages?limit=51')}`, { by: ada });
    expect(large.detail).toBe('limit: must be from 0 to 50');
  });
});

describe('what the rules refuse has a status', () => {
  test('without a token, or with one that is not valid: 401', async () => {
    for (const route of ['GET /api/me', 'GET /api/chats', `GET /api/messages/${messageId}`, `GET ${path('')}`]) {
      for (const by of [null, { token: 'nonsense' }]) {
        const answer = await send(route, { by });
        expectProblem(answer, 401, 'UNAUTHENTICATED');
        expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      }
    }
    expectProblem(await send('POST /api/signout'), 401, 'UNAUTHENTICATED');
    expectProblem(await send(`POST ${path('/messages')}`, { body: { content: 'x' } }), 401, 'UNAUTHENTICATED');
  });

  test('wrong credentials: 401', async () => {
    const body = { email: ada.email, password: 'wrong password' };
    expectProblem(await send('POST /api/signin', { body }), 401, 'INVALID_CREDENTIALS');
    expectProblem(await send('POST /api/refresh', { body: { refreshToken: 'x' } }), 401, 'INVALID_CREDENTIALS');
  });

  test('invalid input: 400, with its fields', async () => {
    const body = { email: 'not an address', username: 'a b', password: 'short' };
    const answer = await send('POST /api/signup', { body });
    expectProblem(answer, 400, 'INVALID_INPUT');
    expect(answer.body.fields.map(({ path: [name] }: { path: string[] }) => name).toSorted()).toEqual([
      'email',
      'password',
      'username',
    ]);
    expectProblem(await send(`POST ${path('/messages')}`, { by: ada, body: {} }), 400, 'INVALID_INPUT');
    expectProblem(await send(`GET /api/chats/${ada.userId}`, { by: ada }), 400, 'INVALID_INPUT');
    expectProblem(await send(`PUT /api/messages/${messageId}/reactions/x`, { by: ada }), 400, 'INVALID_INPUT');
  });

  test('a conflict, such as a username that is taken: 409', async () => {
    const body = { email: 'other@example.com', username: 'ADA', password: 'orange kettle 74 x' };
    const answer = await send('POST /api/signup', { body });
    expectProblem(answer, 409, 'CONFLICT');
    expect(answer.body.taken).toEqual(['username']);
    expectProblem(await send(`DELETE ${path('/members/me')}`, { by: ada }), 409, 'LAST_OWNER');
  });

  test('an object that does not exist or is hidden: 404', async () => {
    expectProblem(await send(`GET ${path('')}`, { by: linus }), 404, 'NOT_FOUND');
    expectProblem(await send(`GET ${path('/messages')}`, { by: linus }), 404, 'NOT_FOUND');
    expectProblem(await send(`GET /api/messages/${messageId}`, { by: linus }), 404, 'NOT_FOUND');
    expectProblem(
      await send(`PATCH /api/messages/${messageId}`, { by: linus, body: { content: 'x' } }),
      404,
      'NOT_FOUND',
    );
    // These ids belong to another kind of object.
    expectProblem(await send(`GET /api/users/${chatId}`, { by: ada }), 404, 'NOT_FOUND');
    expectProblem(await send(`GET /api/files/${messageId}`, { by: ada }), 404, 'NOT_FOUND');
  });

  test('an action that the asker may not perform: 403', async () => {
    expectProblem(await send(`DELETE ${path('')}`, { by: grace }), 403, 'FORBIDDEN');
    expectProblem(
      await send(`PATCH /api/messages/${messageId}`, { by: grace, body: { content: 'x' } }),
      403,
      'FORBIDDEN',
    );
    const channel = await createPublicChannel(ada);
    expectProblem(await send(`POST /api/chats/${channel}/typing`, { by: linus }), 403, 'FORBIDDEN');
    const until = '2100-01-01T00:00:00.000Z';
    const mute =
      'mutation ($chatId: ID!, $userId: ID!, $until: DateTime) { muteMember(chatId: $chatId, userId: $userId, until: $until) { __typename } }';
    await ada.ask(mute, { chatId, userId: grace.userId, until });
    const muted = await send(`POST ${path('/messages')}`, { by: grace, body: { content: 'x' } });
    expectProblem(muted, 403, 'FORBIDDEN');
    expect(muted.body.until).toBe(until);
    await ada.ask(mute, { chatId, userId: grace.userId, until: null });
  });
});

test('the limits and their headers are the same as for GraphQL', async () => {
  const env = { RATE_LIMITS: 'on', RATE_LIMIT_SENDS: '2/1m' };
  await using limited = await startServer({ env });
  const [joan] = await signUpAll(limited, 'joan');
  const chat = await createPublicChannel(joan);
  for (const content of ['one', 'two']) await say(joan, chat, content);
  const answer = await call(limited, `POST /api/chats/${chat}/messages`, { by: joan, body: { content: 'three' } });
  expectProblem(answer, 429, 'RATE_LIMITED');
  const document = `mutation { sendMessage(input: { chatId: "${chat}", content: "three" }) { __typename } }`;
  const { headers, errors } = await joan.post(document);
  for (const name of ['ratelimit-policy', 'retry-after']) {
    expect(answer.headers.get(name)).toBe(headers.get(name));
    expect(answer.headers.get(name)).toMatch(/\d/);
  }
  const { limit, count, windowSeconds, retryAfterSeconds } = errors?.[0]?.extensions ?? {};
  expect(answer.body).toMatchObject({ limit, count, windowSeconds, retryAfterSeconds });
});

test('a page on another origin may send every method, and HEAD has the headers of GET', async () => {
  const preflight = await call(server, 'OPTIONS /api/chats', {
    headers: { origin: 'https://app.example', 'access-control-request-method': 'PATCH' },
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get('access-control-allow-methods')).toContain('PATCH');
  const head = await call(server, 'HEAD /api/me', { by: ada });
  expect(head).toMatchObject({ status: 200, body: undefined });
  expect(Number(head.headers.get('content-length'))).toBeGreaterThan(100);
});

test('a fault of the server is a problem without its details', async () => {
  await using broken = await startServer();
  const [joan] = await signUpAll(broken, 'joan');
  const chat = await createPublicChannel(joan);
  await broken.sql.query('alter table messages rename column content to text');
  const answer = await call(broken, `GET /api/chats/${chat}/messages`, { by: joan });
  expectProblem(answer, 500, 'INTERNAL');
  expect(answer.body.detail).toBe('Internal server error.');
  expect(complaintsOf(broken)).toMatchObject([{ msg: 'an operation failed' }]);
});

test('a program with a key acts as a user, within the scopes of its key', async () => {
  const by = await insertProgram(server, ['ACT_AS', 'CHATS_READ']);
  const headers = { 'parley-act-as': grace.userId };
  const body = { content: 'It is on its way' };
  // A chat's picture needs no additional scope.
  expect(await send(`GET ${path('')}`, { by, headers })).toMatchObject({ status: 200, body: { id: chatId } });
  expectProblem(await send(`POST ${path('/messages')}`, { by, headers, body }), 403, 'FORBIDDEN');
  const writer = await insertProgram(server, ['ACT_AS', 'USERS_READ', 'CHATS_READ', 'MESSAGES_READ', 'MESSAGES_WRITE']);
  expect(await send(`POST ${path('/messages')}`, { by: writer, headers, body })).toMatchObject({
    status: 201,
    body: { sender: { username: 'grace' } },
  });
  expectProblem(await send('GET /api/me', { by }), 403, 'FORBIDDEN');
  expectProblem(await send('GET /api/chats', { by }), 403, 'FORBIDDEN');
  const unknown = await send(`GET ${path('')}`, { by, headers: { 'parley-act-as': 'key:nobody' } });
  expectProblem(unknown, 403, 'FORBIDDEN');
  expectProblem(await send('GET /api/events', { by }), 403, 'FORBIDDEN');
});
