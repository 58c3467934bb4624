import { beforeEach, expect, test, vi } from 'vitest';
import { createKey, exchange, issuersEnv, secondsFromNow, TestIssuer, viewerOf } from '../support/issuer.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { eventsDocument, openStream } from '../support/stream.ts';

let first: TestServer | undefined;
let issuer: TestIssuer;
let server: TestServer;
// Each test has its own issuer and its own node, because a node caches keys.
beforeEach(async () => {
  issuer = await TestIssuer.start();
  server = await startServer({ env: issuersEnv(issuer), ...(first !== undefined && { database: first.database }) });
  first ??= server;
});

const unavailable = [{ extensions: { code: 'INTERNAL' }, message: expect.stringContaining('cannot be fetched') }];
const ask = async (token: string) => (await server.post('{ viewer { user { username } } }', {}, { token })).errors;

test('the keys are fetched once, and again for a token that names a new one', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  try {
    for (const sub of ['a', 'b']) expect(await viewerOf(server, await issuer.issue({ sub }))).toHaveProperty('user');
    expect(issuer.fetched).toBe(1);
    issuer.keys = [await createKey(), ...issuer.keys];
    // Keys are fetched at most every 30 s, no matter how many unknown keys the tokens name.
    for (const sub of ['c', 'd']) expect(await viewerOf(server, await issuer.issue({ sub }))).toBe('UNAUTHENTICATED');
    expect(issuer.fetched).toBe(1);
    vi.setSystemTime(Date.now() + 31_000);
    expect(await viewerOf(server, await issuer.issue({ sub: 'e' }))).toHaveProperty('user');
    expect(issuer.fetched).toBe(2);
  } finally {
    vi.useRealTimers();
  }
});

test('a key that the issuer no longer lists is refused within ten minutes', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  try {
    const [old] = issuer.keys;
    if (old === undefined) throw new Error('the issuer has no key');
    expect(await viewerOf(server, await issuer.issue({ sub: 'a' }))).toHaveProperty('user');
    issuer.keys = [await createKey()];
    vi.setSystemTime(Date.now() + 601_000);
    const token = await issuer.issue({ sub: 'b', exp: secondsFromNow(600) }, { key: old });
    expect(await viewerOf(server, token)).toBe('UNAUTHENTICATED');
  } finally {
    vi.useRealTimers();
  }
});

test.each<[string, NonNullable<TestIssuer['answer']>]>([
  ['answers with an error', (_, response) => response.writeHead(500).end('{"keys":[]}')],
  ['redirects', (_, response) => response.writeHead(302, { location: '/elsewhere' }).end()],
  ['answers with too much', (_, response) => response.end(`{"keys":[],"x":"${'x'.repeat(600_000)}"}`)],
  ['answers with something else', (_, response) => response.end('<html>')],
  ['answers with no list', (_, response) => response.end('{"keys":7}')],
  ['hangs up', (_, response) => response.destroy()],
])('while the URL of the keys %s, tokens cannot be verified, and other requests are answered', async (_, answer) => {
  issuer.answer = answer;
  const token = await issuer.issue({ sub: 'waiting' });
  expect(await ask(token)).toMatchObject(unavailable);
  // No further request is sent for a few seconds.
  const fetched = issuer.fetched;
  expect(await ask(await issuer.issue({ sub: 'next' }))).toMatchObject(unavailable);
  expect(issuer.fetched).toBe(fetched);
  expect((await server.post('{ __typename }', {}, { token })).errors).toBeUndefined();
  await expect(openStream(server, { token }, eventsDocument)).rejects.toThrow('got 503');
  const upload = await fetch(`${server.url}/api/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: new FormData(),
  });
  expect(upload.status).toBe(503);
  const logout = new URLSearchParams({ logout_token: await issuer.issueLogout({ sid: 'a' }) });
  expect((await fetch(`${server.url}/auth/logout`, { method: 'POST', body: logout })).status).toBe(503);
  expect(server.log).toContainEqual(
    expect.objectContaining({ msg: 'the keys of an issuer cannot be fetched', issuer: issuer.name }),
  );
  expect(JSON.stringify(server.log)).not.toContain(token);
});

test('a token that was verified before stays valid while the keys cannot be fetched', async () => {
  const token = await issuer.issue({ sub: 'known' });
  expect(await viewerOf(server, token)).toHaveProperty('user');
  issuer.answer = (_, response) => response.destroy();
  expect(await viewerOf(server, token)).toHaveProperty('user');
});

test('keys on this machine are not fetched unless a setting allows it', async () => {
  await using strict = await startServer({
    database: server.database,
    env: { AUTH_ISSUERS: JSON.stringify([issuer.settings]) },
  });
  const token = await issuer.issue({ sub: 'refused' });
  const { errors } = await strict.post('{ viewer { user { username } } }', {}, { token });
  expect(errors).toMatchObject(unavailable);
  expect(issuer.fetched).toBe(0);
  const document = 'mutation ($token: String!) { signInWithToken(token: $token) { __typename } }';
  expect((await strict.post(document, { token })).errors).toMatchObject(unavailable);
  expect(await exchange(server, token)).toMatchObject({ __typename: 'SignedIn' });
});
