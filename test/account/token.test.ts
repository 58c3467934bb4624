import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT } from 'jose';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { generateKeySet, parseKeySet } from '../../src/account/token-key.ts';
import { parseId } from '../../src/core/id.ts';
import { signUp, type Person } from '../support/client.ts';
import { startServer, type TestServer, type TestServerOptions } from '../support/server.ts';

const accessTokenKeys = generateKeySet();
const { signing } = parseKeySet(accessTokenKeys);
const startNode = (options: TestServerOptions = {}) => startServer({ env: { JWT_KEYS: accessTokenKeys }, ...options });

let server: TestServer;
let ada: Person;
beforeAll(async () => {
  server = await startNode();
  ada = await signUp(server, 'ada');
});
afterEach(() => vi.useRealTimers());

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const secondsFromNow = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;

/** Signs Ada's claims, with the given changes, with our key or another one. A claim that is undefined is omitted. */
function forge(
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  key: KeyObject = signing.key,
) {
  const payload = JSON.parse(JSON.stringify({ ...decodeJwt(ada.token), ...claims }));
  return new SignJWT(payload).setProtectedHeader({ alg: 'EdDSA', kid: signing.kid, ...header }).sign(key);
}

async function answerTo(authorization: string) {
  const { data, errors } = await server.post('{ viewer { email } }', {}, { headers: { authorization } });
  return errors === undefined ? data.viewer.email : errors[0]?.extensions?.['code'];
}

test('an access token contains its issuer, subject, audience and expiry, signed with EdDSA', async () => {
  expect(decodeProtectedHeader(ada.token)).toEqual({ alg: 'EdDSA', kid: signing.kid, typ: 'JWT' });
  const claims = decodeJwt(ada.token);
  expect(claims).toEqual({
    iss: 'parley',
    aud: 'parley',
    sub: parseId(ada.userId)?.key,
    sid: expect.stringMatching(/^\d+$/),
    iat: expect.any(Number),
    exp: (claims.iat ?? 0) + 15 * 60,
  });
});

test('an access token can be verified with the public keys that are published', async () => {
  const response = await fetch(`${server.url}/.well-known/jwks.json`);
  expect(response.headers.get('content-type')).toContain('json');
  const set = (await response.json()) as { keys: Record<string, unknown>[] };
  expect(set.keys.map((key) => Object.keys(key).toSorted((a, b) => a.localeCompare(b)))).toEqual([
    ['alg', 'crv', 'kid', 'kty', 'use', 'x'],
  ]);
  const { payload } = await jwtVerify(ada.token, createLocalJWKSet(set as never), { audience: 'parley' });
  expect(payload.sub).toBe(parseId(ada.userId)?.key);
});

test('a token from one node is valid on another, and the case of `Bearer` does not matter', async () => {
  await using other = await startNode({ database: server.database });
  const { data } = await other.post('{ viewer { email } }', {}, { headers: { authorization: `bEARER ${ada.token}` } });
  expect(data.viewer.email).toBe(ada.email);
});

test('a token that has expired is refused, even one that was valid a moment ago', async () => {
  expect(await answerTo(`Bearer ${await forge()}`)).toBe(ada.email);
  expect(await answerTo(`Bearer ${await forge({ exp: secondsFromNow(-1) })}`)).toBe('UNAUTHENTICATED');

  expect(await answerTo(`Bearer ${ada.token}`)).toBe(ada.email);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 15 * 60_000 });
  expect(await answerTo(`Bearer ${ada.token}`)).toBe('UNAUTHENTICATED');
});

test('a token that was signed with another key is refused', async () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  expect(await answerTo(`Bearer ${await forge({}, {}, privateKey)}`)).toBe('UNAUTHENTICATED');
  expect(await answerTo(`Bearer ${await forge({}, { kid: 'another' })}`)).toBe('UNAUTHENTICATED');
  expect(await answerTo(`Bearer ${await forge({}, { kid: undefined })}`)).toBe('UNAUTHENTICATED');
});

test.each([
  ['another audience', { aud: 'elsewhere' }],
  ['another issuer', { iss: 'elsewhere' }],
  ['no audience', { aud: undefined }],
  ['no issuer', { iss: undefined }],
  ['no end', { exp: undefined }],
  ['a start in the future', { nbf: 9_999_999_999 }],
  ['no user', { sub: undefined }],
  ['a person id that is not a number', { sub: 'ada' }],
  ['another person', { sub: '999999' }],
  ['no session', { sid: undefined }],
  ['a session id that is not a number', { sid: '1; select 1' }],
  ['a session that never existed', { sid: '999999' }],
  ['a session id that is too large', { sid: '9'.repeat(19) }],
])('a token for %s is refused, even when we signed it', async (_, claims) => {
  expect(await answerTo(`Bearer ${await forge(claims)}`)).toBe('UNAUTHENTICATED');
});

test('a token without a signature, or signed with our public key as a secret, is refused', async () => {
  const [, payload, signature] = ada.token.split('.');
  const none = base64url({ alg: 'none', kid: signing.kid, typ: 'JWT' });
  for (const forged of [`${none}.${payload}.`, `${none}.${payload}.${signature}`]) {
    expect(await answerTo(`Bearer ${forged}`)).toBe('UNAUTHENTICATED');
  }
  const { x } = JSON.parse(accessTokenKeys).keys[0];
  const signed = `${base64url({ alg: 'HS256', kid: signing.kid, typ: 'JWT' })}.${payload}`;
  const mac = createHmac('sha256', Buffer.from(x, 'base64url')).update(signed).digest('base64url');
  expect(await answerTo(`Bearer ${signed}.${mac}`)).toBe('UNAUTHENTICATED');
});

test('a token with any part changed is refused', async () => {
  const [header = '', payload = '', signature = ''] = ada.token.split('.');
  const grace = await signUp(server, 'grace');
  const [, graces = ''] = grace.token.split('.');
  for (const forged of [`${header}.${graces}.${signature}`, `${header}.${payload}.${signature.slice(2)}`, payload]) {
    expect(await answerTo(`Bearer ${forged}`)).toBe('UNAUTHENTICATED');
  }
});

test.each([
  '',
  'Bearer',
  'Bearer ',
  'Basic YWRhOnB3',
  'Bearer a b',
  'Bearer \u00e4',
  'Bearer ..',
  `Bearer ${'x'.repeat(8_000)}`,
])('the header %j is refused', async (authorization) => {
  expect(await answerTo(authorization)).toBe('UNAUTHENTICATED');
});

test('a request with a bad token changes nothing', async () => {
  const { errors } = await server.post('mutation { signOut }', {}, { token: await forge({ exp: secondsFromNow(-1) }) });
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  expect(await answerTo(`Bearer ${ada.token}`)).toBe(ada.email);
});
