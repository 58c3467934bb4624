import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { generateKeySet, loadOrCreateKeys, parseKeySet, publicKeySet } from '../../src/account/token-key.ts';

const firstKeyOf = (json: string) => JSON.parse(json).keys[0] as Record<string, unknown>;

async function makeFolder() {
  const folder = await mkdtemp(join(tmpdir(), 'parley-keys-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

test('the first key of a set signs, and all of them verify', () => {
  const [next, old] = [firstKeyOf(generateKeySet()), firstKeyOf(generateKeySet())];
  const { d: _, ...oldPublic } = old;
  const keys = parseKeySet(JSON.stringify({ keys: [next, oldPublic] }));
  expect(keys.signing.kid).toBe(next['kid']);
  expect([...keys.verifying.keys()]).toEqual([next['kid'], old['kid']]);
});

test('a key without a kid gets its thumbprint as kid', () => {
  const { kid, ...nameless } = firstKeyOf(generateKeySet());
  expect(parseKeySet(JSON.stringify({ keys: [nameless] })).signing.kid).toBe(kid);
});

test('the thumbprint is that of RFC 8037, appendix A.3', () => {
  const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
  const d = 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A';
  const keys = parseKeySet(JSON.stringify({ keys: [{ kty: 'OKP', crv: 'Ed25519', x, d }] }));
  expect(keys.signing.kid).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
});

test('the published set contains only the public parts', () => {
  const [mine, older] = [firstKeyOf(generateKeySet()), firstKeyOf(generateKeySet())];
  const published = publicKeySet(parseKeySet(JSON.stringify({ keys: [mine, older] })));
  expect(published.keys).toEqual(
    [mine, older].map(({ x, kid }) => ({ kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig' })),
  );
});

test.each([
  ['{"keys": [', 'it is not JSON'],
  ['[]', 'it is not a JWK set, {"keys": […]}'],
  ['{"keys": []}', 'it contains no keys'],
  ['{"keys": [null]}', 'keys[0] is not an Ed25519 key ({"kty":"OKP","crv":"Ed25519","x":…})'],
  ['{"keys": [{"kty":"oct","k":"c2VjcmV0"}]}', 'keys[0] is not an Ed25519 key ({"kty":"OKP","crv":"Ed25519","x":…})'],
  ['{"keys": [{"kty":"OKP","crv":"Ed25519","x":"short"}]}', 'keys[0] is not a complete Ed25519 key'],
])('the set %s is refused', (json, message) => {
  expect(() => parseKeySet(json)).toThrow(message);
});

test('a set is refused when its first key cannot sign, or when its parts do not belong together', () => {
  const [one, other] = [firstKeyOf(generateKeySet()), firstKeyOf(generateKeySet())];
  const { d: _, ...publicOnly } = one;
  const parse = (...keys: unknown[]) => parseKeySet(JSON.stringify({ keys }));
  expect(() => parse(publicOnly, other)).toThrow('its first key signs, so it needs its private part (d)');
  expect(() => parse({ ...one, d: other['d'] })).toThrow(
    "a private part (d) that doesn't belong to its public one (x)",
  );
  expect(() => parse(one, { ...other, kid: one['kid'] })).toThrow('two of its keys have the same kid');
});

test('the error about a set does not quote a private key', () => {
  const json = generateKeySet();
  const secret = String(firstKeyOf(json)['d']);
  for (const broken of [json.slice(0, -1), json.replace('"OKP"', '"EC"'), json.replace(secret, `${secret}AAAA`)]) {
    expect(() => parseKeySet(broken)).toThrow(expect.not.stringContaining(secret));
  }
});

test('the keys that the first start generates are used by the next one, and only their owner can read them', async () => {
  const folder = join(await makeFolder(), 'not', 'yet', 'there');
  const made = await loadOrCreateKeys(folder);
  const [name, ...others] = await readdir(folder);
  expect(others).toEqual([]);
  expect((await stat(join(folder, String(name)))).mode & 0o777).toBe(0o600);
  expect((await loadOrCreateKeys(folder)).signing.kid).toBe(made.signing.kid);
});

test('servers that start at the same time all use the same keys', async () => {
  const folder = await makeFolder();
  const all = await Promise.all(Array.from({ length: 10 }, () => loadOrCreateKeys(folder)));
  expect(new Set(all.map(({ signing }) => signing.kid)).size).toBe(1);
  expect(await readdir(folder)).toHaveLength(1);
});

test('a key file that others can read is made private', async () => {
  const folder = await makeFolder();
  const path = join(folder, 'jwt-keys.json');
  await writeFile(path, generateKeySet(), { mode: 0o644 });
  await loadOrCreateKeys(folder);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test('a broken key file is refused, named in the error, and left as it is', async () => {
  const folder = await makeFolder();
  const path = join(folder, 'jwt-keys.json');
  await writeFile(path, '');
  await expect(loadOrCreateKeys(folder)).rejects.toThrow(`Cannot use the access token keys in ${path}: it is not JSON`);
  expect(await readFile(path, 'utf8')).toBe('');
});
