import { beforeAll, expect, test, vi } from 'vitest';
import { paced } from '../../src/core/paced-report.ts';
import { loggablePath } from '../../src/http/access-log.ts';
import { createLog } from '../../src/logger.ts';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { download, upload } from '../support/file.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { setRoleWithSql, suspendUser } from '../support/staff.ts';
import { PassThrough } from 'node:stream';

const password = 'correct horse battery staple wrong';

let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  const env = {
    ACCESS_LOG: 'on',
    RATE_LIMITS: 'on',
    RATE_LIMIT_TYPING_PER_SESSION: '1/1h',
    RATE_LIMIT_UNKNOWN_HOOKS: '1/1h',
  };
  server = await startServer({ env });
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

/** Returns the first line of the log that has these values, as soon as it has been written. */
function expectLine(values: Record<string, unknown>) {
  return vi.waitFor(() => {
    const line = server.log.find((each) => Object.entries(values).every(([name, value]) => each[name] === value));
    expect(line, JSON.stringify(values)).toBeDefined();
    return line;
  });
}

test('each request is one line, with who made it and how it went', async () => {
  await ada.ask('query Mine { viewer { user { id } } }');
  expect(await expectLine({ msg: 'request', operation: 'viewer' })).toMatchObject({
    method: 'POST',
    path: '/graphql',
    route: 'graphql',
    status: 200,
    ms: expect.any(Number),
    bytes: expect.any(Number),
    address: '127.0.0.0/24',
    userId: keyOf(ada.userId),
    requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
  });
  await fetch(`${server.url}/livez`);
  await fetch(`${server.url}/nowhere`);
  await expectLine({ msg: 'request', route: 'none', status: 404 });
  expect(server.log.filter(({ path }) => path === '/livez')).toEqual([]);
});

test('the id of a request is in its answer and in each of its lines', async () => {
  const signIn = async (headers: Record<string, string>) => {
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({
        query: 'mutation ($input: SignInInput!) { signIn(input: $input) { __typename } }',
        variables: { input: { email: 'ada@example.com', password } },
      }),
    });
    return response.headers.get('x-request-id');
  };
  expect(await signIn({ 'x-request-id': 'proxy-1:42' })).toBe('proxy-1:42');
  await expectLine({ msg: 'a sign-in failed', requestId: 'proxy-1:42', code: 'INVALID_CREDENTIALS' });
  await expectLine({ msg: 'request', requestId: 'proxy-1:42' });

  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
  expect(await signIn({ traceparent })).toBe(traceId);
  await expectLine({ msg: 'a sign-in failed', requestId: traceId, traceId });
  expect(await signIn({ traceparent, 'x-request-id': 'mine' })).toBe('mine');
  await expectLine({ msg: 'request', requestId: 'mine', traceId });

  for (const bad of ['x'.repeat(129), 'a b', '{"level":"fatal"}', '']) {
    const made = await signIn({ 'x-request-id': bad, traceparent: `00-${'0'.repeat(32)}-00f067aa0ba902b7-01` });
    expect(made).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  }
});

test('requests at the same time keep their own ids', async () => {
  const names = Array.from({ length: 20 }, (_, index) => `parallel-${index}`);
  await Promise.all(
    names.map((name) =>
      fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-request-id': name },
        body: JSON.stringify({
          query: `mutation { signInWithToken(token: "x") { __typename } signIn(input: { email: "${name}@example.com", password: "${password}" }) { __typename } }`,
        }),
      }).then((response) => response.text()),
    ),
  );
  for (const requestId of names) await expectLine({ msg: 'a sign-in failed', method: 'password', requestId });
});

test('a refusal is one line, whichever limit refuses', async () => {
  const chatId = await createGroup(ada, [grace]);
  const typing = 'mutation ($chatId: ID!) { startTyping(chatId: $chatId) }';
  await ada.ask(typing, { chatId });
  await server.post(typing, { chatId }, { token: ada.token });
  const refusal = await expectLine({ msg: 'a rate limit was reached', limit: 'RATE_LIMIT_TYPING_PER_SESSION' });
  expect(refusal).toHaveProperty('requestId');
  const tooLarge = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: ' '.repeat(2_000_000) }),
  });
  expect(tooLarge.status).toBe(413);
  await expectLine({ msg: 'a limit refused a request', route: 'graphql', status: 413 });
});

test('each admin action is one line, with its outcome', async () => {
  const [root, mallory] = await Promise.all([signUp(server, 'root'), signUp(server, 'mallory')]);
  await setRoleWithSql(server, root, 'ADMIN');
  expect(await suspendUser(root, mallory.userId)).toMatchObject({ __typename: 'AdminUser' });
  expect(await expectLine({ msg: 'an admin action', outcome: 'DONE' })).toMatchObject({
    action: 'suspendUser',
    on: { userId: mallory.userId },
    userId: keyOf(root.userId),
    requestId: expect.any(String),
  });
  expect(await suspendUser(ada, grace.userId)).toMatchObject({ __typename: 'Forbidden' });
  await expectLine({ msg: 'an admin action', action: 'suspendUser', outcome: 'FORBIDDEN', userId: keyOf(ada.userId) });
});

test('secrets, texts, names and full addresses reach no line', async () => {
  const chatId = await createGroup(ada, [grace], 'the secret group');
  await say(ada, chatId, 'a confidential text');
  const file = await upload(server, ada, 'dear diary', 'diary.txt');
  await (await download(server, file.url)).text();
  const hook = `pwh_${'A'.repeat(43)}`;
  for (let index = 0; index < 2; index += 1) {
    await fetch(`${server.url}/api/hooks/${hook}`, { method: 'POST', body: '{}' });
  }
  await fetch(`${server.url}/api/users/by-key/ada-lovelace?after=a-cursor`);
  await fetch(`${server.url}/graphql/stream?streamToken=a-stream-token&token=another`, {
    headers: { accept: 'text/event-stream' },
  });
  await fetch(`${server.url}/reset/a-code-in-a-wrong-path`);
  await expectLine({ msg: 'request', path: '/*/*' });
  await expectLine({ msg: 'request', path: '/api/hooks/*' });
  await expectLine({ msg: 'request', path: '/graphql/stream' });
  const text = JSON.stringify(server.log);
  const signature = new URL(file.url, server.url).searchParams.get('signature');
  const secrets = ['confidential', 'secret group', 'diary', hook, 'lovelace', 'a-cursor', 'a-stream-token', 'another'];
  for (const secret of [...secrets, 'a-code', signature, ada.token, password, '@example.com', '127.0.0.1"']) {
    expect(text).not.toContain(secret);
  }
});

test.each([
  ['/graphql', '/graphql'],
  ['/', '/'],
  ['/api/chats/Q2hhdDox/messages?first=1', '/api/chats/*/messages'],
  ['/api/hooks/pwh_secret/slack', '/api/hooks/*/slack'],
  ['/files/RmlsZTox/holiday.jpg?signature=s', '/files/*/*'],
  ['/%67raphql', '/*'],
  [`/${'a/'.repeat(50)}`, `/${Array(10).fill('*').join('/')}`],
])('the path %s is logged as %s', (path, logged) => {
  expect(loggablePath(path)).toBe(logged);
});

test.each([
  ['192.0.2.77', '192.0.2.0/24', '192.0.2.77'],
  ['2001:db8:1:2', '2001:db8:1::/48', '2001:db8:1:2'],
  ['unknown', 'unknown', 'unknown'],
])('the address %s is logged as %s, or with LOG_ADDRESSES=full as %s', (address, masked, full) => {
  for (const [hasFullAddresses, expected] of [
    [false, masked],
    [true, full],
  ] as const) {
    const output = new PassThrough({ encoding: 'utf8' });
    createLog('info', output, { hasFullAddresses }).info({ address }, 'hello');
    expect(JSON.parse(String(output.read()))).toHaveProperty('address', expected);
  }
});

test('a flood of equal reports is cut off, and the rest is counted', async () => {
  const written: [string, unknown][] = [];
  const report = paced((_, message, detail) => void written.push([message, detail]), { most: 3, windowMs: 50 });
  for (let index = 0; index < 10; index += 1) report('info', 'refused', { index });
  report('info', 'something else');
  expect(written.map(([message]) => message)).toEqual(['refused', 'refused', 'refused', 'something else']);
  await vi.waitFor(() => expect(written.at(-1)).toEqual(['refused', { omitted: 7 }]));
});
