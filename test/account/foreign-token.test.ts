import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { signUp } from '../support/client.ts';
import { createKey, exchange, issuersEnv, secondsFromNow, sign, TestIssuer, viewerOf } from '../support/issuer.ts';
import { startServer, type TestServer } from '../support/server.ts';

type Shape = {
  issuer: string;
  alg: string;
  settings: Record<string, unknown> & { issuer: string };
  header: Record<string, unknown>;
  payload: Record<string, unknown>;
};

const shapes: Shape[] = JSON.parse(await readFile(join(import.meta.dirname, 'foreign-tokens.json'), 'utf8'));

let server: TestServer;
/** Issuers whose keys are at a URL. `rival` has the same audience as `home`. */
let home: TestIssuer;
let rival: TestIssuer;
const secret = Buffer.alloc(32, 7);
const shapeKeys = new Map<string, Awaited<ReturnType<typeof createKey>>>();

beforeAll(async () => {
  [home, rival] = await Promise.all([
    TestIssuer.start('https://home.example'),
    TestIssuer.start('https://rival.example'),
  ]);
  const withKeys = await Promise.all(
    shapes.map(async ({ alg, settings }) => {
      const key = await createKey(alg, 'k1');
      shapeKeys.set(settings.issuer, key);
      return { ...settings, keys: { keys: [key.publicJwk] } };
    }),
  );
  const shared = {
    issuer: 'shared',
    audience: 'chat',
    keys: { keys: [{ kty: 'oct', k: secret.toString('base64url') }] },
  };
  server = await startServer({ env: issuersEnv(home, rival, shared, ...withKeys) });
});

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

test('a token as Auth0 shapes it names its user in namespaced claims', async () => {
  expect(await viewerOfShape('https://tenant.auth0.example/')).toMatchObject({
    email: null,
    user: { username: 'ada', displayName: 'Ada' },
  });
});

test('a token as Supabase shapes it names its user in nested claims, and its address is not known to be verified', async () => {
  expect(await viewerOfShape('https://ref.supabase.example/auth/v1')).toMatchObject({
    email: null,
    user: { displayName: 'Ada' },
  });
});

test('a token as Firebase shapes it has a verified address, and a username is made from the display name', async () => {
  expect(await viewerOfShape('https://securetoken.google.example/project-1')).toMatchObject({
    email: 'ada@mail.example',
    user: { username: expect.stringMatching(/^Ada\d*$/), displayName: 'Ada' },
  });
});

test('a token as Keycloak shapes it has a username that is made to fit, and an address that is not verified', async () => {
  expect(await viewerOfShape('https://id.example/realms/shop')).toMatchObject({
    email: null,
    user: { username: 'Ada.Example', displayName: 'Ada' },
  });
});

test('a home-made token has a number as its subject, and no kid', async () => {
  expect(await viewerOfShape('shop')).toMatchObject({ user: { displayName: 'Ada' }, hasPassword: false });
  const { rows } = await server.sql.query(`select subject from identities where issuer = 'shop'`);
  expect(rows).toEqual([{ subject: '42' }]);
});

async function viewerOfShape(issuer: string) {
  const shape = shapes.find(({ settings }) => settings.issuer === issuer);
  const key = shapeKeys.get(issuer);
  if (shape === undefined || key === undefined) throw new Error(`there is no shape of ${issuer}`);
  const { kid, ...header } = { kid: undefined, ...shape.header };
  return viewerOf(server, await sign(shape.payload, key, { ...header, kid }));
}

test('a token with a shared secret is accepted', async () => {
  const claims = { iss: 'shared', aud: 'chat', sub: 'grace' };
  expect(await viewerOf(server, await sign(claims, secret))).toMatchObject({ user: { username: 'user' } });
  expect(await viewerOf(server, await sign(claims, Buffer.alloc(32, 8)))).toBe('UNAUTHENTICATED');
});

test('a token is exchanged for a session, whose tokens are refreshed here', async () => {
  const signedIn = await exchange(server, await home.issue({ sub: 'exchanged', preferred_username: 'radia' }));
  expect(signedIn).toMatchObject({ __typename: 'SignedIn', viewer: { user: { username: 'radia' } } });
  const refresh = 'mutation ($t: String!) { refreshSession(refreshToken: $t) { ... on SignedIn { accessToken } } }';
  const { refreshSession } = await server.ask(refresh, { t: signedIn.refreshToken });
  expect(await viewerOf(server, refreshSession.accessToken)).toMatchObject({ user: { username: 'radia' } });
});

const forgeries: [what: string, claims: Record<string, unknown>, header?: Record<string, unknown>][] = [
  ['another audience', { aud: 'elsewhere' }],
  ['no audience', { aud: undefined }],
  ['an issuer that is not listed', { iss: 'https://elsewhere.example' }],
  ['an issuer with another slash', { iss: 'https://home.example/' }],
  ['no issuer', { iss: undefined }],
  ['no subject', { sub: undefined }],
  ['an empty subject', { sub: '' }],
  ['a subject that is a list', { sub: ['ada'] }],
  ['a very long subject', { sub: 'a'.repeat(256) }],
  ['a subject with a control character', { sub: 'a\u0000b' }],
  ['no expiry', { exp: undefined }],
  ['no time of issue', { iat: undefined }],
  ['an expiry in the past', { exp: secondsFromNow(-10) }],
  ['a start in the future', { nbf: secondsFromNow(600) }],
  ['a time of issue in the future', { iat: secondsFromNow(600), exp: secondsFromNow(900) }],
  ['more than 30 days', { exp: secondsFromNow(31 * 24 * 60 * 60) }],
  ['a logout', { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }],
  ['an extension that is unknown', {}, { crit: ['exp'], exp: 1 }],
  ['a key that does not exist', {}, { kid: 'nowhere' }],
];

test.each(forgeries)('a token with %s is refused, and creates no one', async (_, claims, header) => {
  expect(await viewerOf(server, await home.issue({ sub: 'real' }))).toMatchObject({ email: null });
  const before = await server.sql.query('select count(*) from users');
  const token = await home.issue({ sub: 'forged', ...claims }, { header: header ?? {} }).catch(() => 'x.y.z');
  expect(await viewerOf(server, token)).toBe('UNAUTHENTICATED');
  expect(await exchange(server, token)).toMatchObject({ __typename: 'InvalidCredentials' });
  expect((await server.sql.query('select count(*) from users')).rows).toEqual(before.rows);
});

test('a refused token of an issuer says which claim is wrong, but only if its signature is valid', async () => {
  const wrong = { sub: 'ada', aud: 'elsewhere' };
  const messageOf = async (token: string) => (await exchange(server, token)).message;
  expect(await messageOf(await home.issue(wrong))).toContain('for another audience');
  expect(await messageOf(await home.issue({ sub: 'ada', iat: undefined }))).toBe('The token has no claim iat.');
  const early = { sub: 'ada', nbf: secondsFromNow(600) };
  expect(await messageOf(await home.issue(early))).toBe('The token has an invalid claim nbf.');
  expect(await messageOf(await home.issue(wrong, { key: await createKey() }))).toBe('The token is not valid.');
});

test('a token without a signature, or signed with a public key as a secret, is refused', async () => {
  const [key] = home.keys;
  const [, payload, signature] = (await home.issue({ sub: 'forged' })).split('.');
  const none = base64url({ alg: 'none', kid: key?.kid, typ: 'JWT' });
  for (const forged of [`${none}.${payload}.`, `${none}.${payload}.${signature}`]) {
    expect(await viewerOf(server, forged)).toBe('UNAUTHENTICATED');
  }
  const signed = `${base64url({ alg: 'HS256', kid: key?.kid, typ: 'JWT' })}.${payload}`;
  for (const bytes of [JSON.stringify(key?.publicJwk), Buffer.from(String(key?.publicJwk.x), 'base64url')]) {
    const mac = createHmac('sha256', bytes).update(signed).digest('base64url');
    expect(await viewerOf(server, `${signed}.${mac}`)).toBe('UNAUTHENTICATED');
  }
});

test('a token that was altered anywhere is refused', async () => {
  const [header = '', payload = '', signature = ''] = (await home.issue({ sub: 'altered' })).split('.');
  const [, other = ''] = (await home.issue({ sub: 'other' })).split('.');
  const last = signature.at(-1) === 'A' ? 'B' : 'A';
  for (const forged of [
    `${header}.${other}.${signature}`,
    `${header}.${payload}.${signature.slice(0, -1)}${last}`,
    `${header}.${payload}.${signature}=`,
    `${header}.${payload}`,
    `${header}.${payload}.${signature}.`,
  ]) {
    expect(await viewerOf(server, forged)).toBe('UNAUTHENTICATED');
  }
});

test('a token of one issuer, signed by another, is refused', async () => {
  const [rivals] = rival.keys;
  if (rivals === undefined) throw new Error('the rival has no key');
  expect(await viewerOf(server, await rival.issue({ sub: 'ada' }))).toMatchObject({ hasPassword: false });
  expect(await viewerOf(server, await home.issue({ sub: 'ada' }, { key: rivals }))).toBe('UNAUTHENTICATED');
  const [homes] = home.keys;
  const forged = await home.issue({ sub: 'ada' }, { key: rivals, header: { kid: homes?.kid } });
  expect(await viewerOf(server, forged)).toBe('UNAUTHENTICATED');
  const embedded = await home.issue(
    { sub: 'ada' },
    { key: rivals, header: { jwk: rivals.publicJwk, jku: 'http://127.0.0.1' } },
  );
  expect(await viewerOf(server, embedded)).toBe('UNAUTHENTICATED');
});

test('the same subject of two issuers is two users, and the same sid is two sessions', async () => {
  const ours = await viewerOf(server, await home.issue({ sub: 'twin', sid: 's1' }));
  const theirs = await viewerOf(server, await rival.issue({ sub: 'twin', sid: 's1' }));
  expect(ours.user.id).not.toBe(theirs.user.id);
  expect(ours.sessions).toHaveLength(1);
  expect(theirs.sessions).toHaveLength(1);
});

test('a token that claims to be ours is verified with our keys only', async () => {
  expect(await viewerOf(server, await home.issue({ iss: 'parley', aud: 'parley', sub: '1', sid: '1' }))).toBe(
    'UNAUTHENTICATED',
  );
});

test('our own tokens stay valid beside those of issuers', async () => {
  const ada = await signUp(server, 'ada-with-password');
  expect(await viewerOf(server, ada.token)).toMatchObject({ email: ada.email, hasPassword: true });
});

test('a server without issuers accepts no foreign token', async () => {
  await using plain = await startServer({ database: server.database });
  const token = await home.issue({ sub: 'ada' });
  expect(await viewerOf(plain, token)).toBe('UNAUTHENTICATED');
  expect(await exchange(plain, token)).toMatchObject({ __typename: 'Forbidden' });
});
