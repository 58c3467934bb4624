import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readConfig } from '../../src/config.ts';

const publicKey = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
const privateKey = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
const weakKey = generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey.export({ format: 'jwk' });
const secret = { kty: 'oct', k: Buffer.alloc(32, 1).toString('base64url') };

const good = { issuer: 'https://id.example', audience: 'chat', jwks: 'https://id.example/jwks' };
const withKeys = (...keys: unknown[]) => ({ issuer: 'shop', audience: 'chat', keys: { keys } });
const read = (...issuers: unknown[]) => readConfig({ AUTH_ISSUERS: JSON.stringify(issuers) }).authIssuers;

test('an issuer needs a name, an audience and keys; the rest has defaults', () => {
  expect(read(good)).toEqual([
    {
      issuer: 'https://id.example',
      audiences: ['chat'],
      logoutAudiences: ['chat'],
      keys: { kind: 'URL', url: new URL('https://id.example/jwks') },
      algorithms: expect.arrayContaining(['RS256', 'ES256', 'EdDSA']),
      claims: {
        subject: 'sub',
        username: 'preferred_username',
        displayName: 'name',
        email: 'email',
        emailVerified: 'email_verified',
        picture: 'picture',
        custom: null,
        session: null,
      },
      serverRoles: null,
    },
  ]);
  expect(read(withKeys(publicKey))?.[0]?.keys.kind).toBe('PUBLIC');
  expect(read(withKeys(secret))).toMatchObject([{ algorithms: ['HS256'] }]);
});

test('the list may be in a file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-issuers-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'issuers.json');
  await writeFile(path, JSON.stringify([good]));
  expect(readConfig({ AUTH_ISSUERS: path }).authIssuers).toHaveLength(1);
  await writeFile(path, '{');
  expect(() => readConfig({ AUTH_ISSUERS: path })).toThrow('the file does not contain JSON');
  expect(() => readConfig({ AUTH_ISSUERS: join(folder, 'nowhere') })).toThrow('the file cannot be read (ENOENT)');
});

test.each([['http://localhost:8080/jwks'], ['http://127.0.0.1/jwks'], ['http://[::1]:1/jwks']])(
  'keys may come from %s',
  (jwks) => {
    expect(read({ ...good, jwks })).toHaveLength(1);
  },
);

test.each<[string, unknown, string]>([
  ['no issuer', { ...good, issuer: undefined }, '[0].issuer: '],
  ['our own name', { ...good, issuer: 'parley' }, "is this server's own name"],
  ['no audience', { ...good, audience: undefined }, '[0].audience: '],
  ['an empty list of audiences', { ...good, audience: [] }, '[0].audience: '],
  ['no keys', { ...good, jwks: undefined }, 'needs either jwks'],
  ['keys twice', { ...good, keys: { keys: [publicKey] } }, 'needs either jwks'],
  ['an unencrypted URL', { ...good, jwks: 'http://id.example/jwks' }, 'not an https: URL'],
  ['an unencrypted URL of a private network', { ...good, jwks: 'http://10.0.0.1/jwks' }, 'not an https: URL'],
  ['a URL that only looks local', { ...good, jwks: 'http://localhost.example/jwks' }, 'not an https: URL'],
  ['no URL', { ...good, jwks: 'sesame' }, 'not an https: URL'],
  ['a password in the URL', { ...good, jwks: 'https://ada:sesame@id.example/' }, 'contains a user name'],
  ['the algorithm none', { ...good, algorithms: ['none'] }, '"none" is not one of'],
  ['an unknown algorithm', { ...good, algorithms: ['RS1'] }, '"RS1" is not one of'],
  [
    'a symmetric algorithm beside asymmetric ones',
    { ...good, algorithms: ['RS256', 'HS256'] },
    '"HS256" is not one of',
  ],
  ['a symmetric algorithm for public keys', { ...withKeys(publicKey), algorithms: ['HS256'] }, '"HS256" is not one of'],
  ['an asymmetric algorithm for a secret', { ...withKeys(secret), algorithms: ['RS256'] }, '"RS256" is not one of'],
  ['a secret beside a public key', withKeys(secret, publicKey), 'both shared secrets (oct) and public keys'],
  ['a short secret', withKeys({ kty: 'oct', k: 'sesame' }), 'at least 32 bytes'],
  ['a secret that is too short for its algorithm', { ...withKeys(secret), algorithms: ['HS512'] }, 'at least 64 bytes'],
  ['a secret that is not base64url', withKeys({ kty: 'oct', k: 'sesame!' }), 'k is not base64url'],
  ['a private key', withKeys(privateKey), 'has its private part'],
  ['half a key', withKeys({ kty: 'OKP', crv: 'Ed25519' }), 'not a complete public key'],
  ['a weak key', withKeys(weakKey), 'fewer than 2048 bits'],
  ['no key in the set', withKeys(), '[0].keys.keys: '],
  ['a name that does not exist', { ...good, sesame: 1 }, 'sesame'],
  ['a claim that does not exist', { ...good, claims: { nickname: 'n' } }, 'nickname'],
  ['roles without a value', { ...good, serverRoles: { claim: 'roles' } }, 'names no value for ADMIN or MODERATOR'],
  ['a role that does not exist', { ...good, serverRoles: { claim: 'roles', OWNER: 'o' } }, 'OWNER'],
  ['a claim that is not a name', { ...good, claims: { username: 7 } }, '[0].claims.username: '],
])('AUTH_ISSUERS with %s is refused, and the error says so', (_, issuer, reason) => {
  expect(() => read(issuer)).toThrow('\n  AUTH_ISSUERS: ');
  expect(() => read(issuer)).toThrow(reason);
});

test('all that is wrong is reported together, and no key is quoted', () => {
  const { d } = privateKey;
  const wrong = () =>
    readConfig({
      PORT: 'x',
      AUTH_ISSUERS: JSON.stringify([
        { ...good, audience: '' },
        { ...withKeys(privateKey), algorithms: ['none'] },
      ]),
      EGRESS_ALLOW: 'localhost',
    });
  for (const part of ['PORT: ', 'EGRESS_ALLOW: ', '[0].audience: ', 'private part', '"none"'])
    expect(wrong).toThrow(part);
  expect(wrong).not.toThrow(String(d));
  expect(() => read(withKeys({ kty: 'oct', k: 'c2VzYW1l' }))).not.toThrow('c2VzYW1l');
});

test.each(['{}', '[]', '"sesame', '[7]', `[${JSON.stringify(good)},${JSON.stringify(good)}]`])(
  'AUTH_ISSUERS=%s is refused',
  (value) => expect(() => readConfig({ AUTH_ISSUERS: value })).toThrow('AUTH_ISSUERS: '),
);

test('a server without passwords needs issuers', () => {
  expect(() => readConfig({ PASSWORDS: 'false' })).toThrow('PASSWORDS: "false" requires AUTH_ISSUERS');
  expect(readConfig({ PASSWORDS: 'false', AUTH_ISSUERS: JSON.stringify([good]) }).hasPasswords).toBe(false);
  expect(() => readConfig({ PASSWORDS: 'no' })).toThrow('PASSWORDS: true or false (got "no")');
});
