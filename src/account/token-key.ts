import {
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { randomUUID } from 'node:crypto';
import { chmod, link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CannotStart } from '../errors.ts';

/**
 * The Ed25519 keys of access tokens. The first key of the set signs, and all of them verify. `own` contains the keys
 * that include their private part, in the order of the set.
 */
export type AccessTokenKeys = {
  signing: { kid: string; key: KeyObject };
  verifying: ReadonlyMap<string, KeyObject>;
  own: readonly KeyObject[];
};

/** A public key as a JWK (RFC 8037). */
export type PublicJwk = { kty: 'OKP'; crv: 'Ed25519'; x: string; kid: string; alg: 'EdDSA'; use: 'sig' };

const maxKeys = 20;

/**
 * Reads a JWK set (RFC 7517, section 5) of Ed25519 keys. The first key must include its private part, and the other
 * keys may include theirs. To rotate keys, follow docs/operating.md. A key without a `kid` gets its thumbprint (RFC
 * 7638) as its `kid`. Throws an Error that says what is wrong, without quoting the keys.
 */
export function parseKeySet(json: string): AccessTokenKeys {
  const jwks = readSet(json);
  const parsed = jwks.map(parseKey);
  const verifying = new Map(parsed.map(({ kid, publicKey }) => [kid, publicKey]));
  if (verifying.size < parsed.length) throw new Error('two of its keys have the same kid');
  const first = parsed[0];
  if (first?.privateKey == null) throw new Error('its first key signs, so it needs its private part (d)');
  const own = parsed.flatMap(({ privateKey }) => privateKey ?? []);
  return { signing: { kid: first.kid, key: first.privateKey }, verifying, own };
}

/** Generates a JWK set with one new key, as JSON for JWT_KEYS. The result is a secret. */
export function generateKeySet(): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { kty, crv, x, d } = privateKey.export({ format: 'jwk' });
  return JSON.stringify({ keys: [{ kty, crv, x, d, kid: thumbprint(String(x)), alg: 'EdDSA', use: 'sig' }] });
}

/**
 * Derives a key of 256 bits from the signing key (RFC 5869). Each purpose has its own key, which is the same on all
 * nodes.
 */
export function deriveKey({ signing }: AccessTokenKeys, purpose: string): KeyObject {
  return derive(signing.key, purpose);
}

/**
 * Like `deriveKey`, but for each private key in the set, so that whatever an older key signed or encrypted stays
 * usable.
 */
export function deriveKeys({ own }: AccessTokenKeys, purpose: string): KeyObject[] {
  return own.map((key) => derive(key, purpose));
}

/** Returns the response of `/.well-known/jwks.json`, which contains only the public parts of the keys. */
export function publicKeySet(keys: AccessTokenKeys): { keys: PublicJwk[] } {
  return {
    keys: [...keys.verifying].map(([kid, key]) => ({
      kty: 'OKP',
      crv: 'Ed25519',
      x: String(key.export({ format: 'jwk' }).x),
      kid,
      alg: 'EdDSA',
      use: 'sig',
    })),
  };
}

/**
 * Loads the keys in `dataDir`, which the first start creates. Only the owner can read the file. If two processes start
 * at the same time, one creates the file and both use it. Throws a CannotStart that names the file if the file is
 * damaged.
 */
export async function loadOrCreateKeys(dataDir: string): Promise<AccessTokenKeys> {
  const path = join(dataDir, 'jwt-keys.json');
  const json = (await readIfExists(path)) ?? (await createOnce(path, generateKeySet(), dataDir));
  if (((await stat(path)).mode & 0o077) !== 0) await chmod(path, 0o600);
  try {
    return parseKeySet(json);
  } catch (error) {
    throw new CannotStart(`Cannot use the access token keys in ${path}: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

async function readIfExists(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
}

/**
 * Creates the file, completely or not at all, if it does not exist. Returns its text: `text`, or the text that another
 * process wrote first.
 */
async function createOnce(path: string, text: string, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const draft = `${path}.${randomUUID()}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
    // Unlike a rename, a link never replaces a file that another process has created: that process may already have
    // signed tokens with the keys in it.
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await file.close();
    await unlink(draft);
  }
  return readFile(path, 'utf8');
}

function readSet(json: string): unknown[] {
  let set: unknown;
  try {
    set = JSON.parse(json);
  } catch {
    // The error message of JSON.parse quotes its input, which contains the private key.
    throw new Error('it is not JSON');
  }
  if (typeof set !== 'object' || set === null || !('keys' in set) || !Array.isArray(set.keys)) {
    throw new Error('it is not a JWK set, {"keys": […]}');
  }
  if (set.keys.length === 0) throw new Error('it contains no keys');
  if (set.keys.length > maxKeys) throw new Error(`it contains more than ${maxKeys} keys`);
  return set.keys;
}

function parseKey(jwk: unknown, index: number): { kid: string; publicKey: KeyObject; privateKey: KeyObject | null } {
  const { kty, crv, x, d, kid } = (typeof jwk === 'object' ? (jwk ?? {}) : {}) as Record<string, unknown>;
  if (kty !== 'OKP' || crv !== 'Ed25519' || typeof x !== 'string') {
    throw new Error(`keys[${index}] is not an Ed25519 key ({"kty":"OKP","crv":"Ed25519","x":…})`);
  }
  if (kid !== undefined && (typeof kid !== 'string' || kid === ''))
    throw new Error(`keys[${index}].kid is not a non-empty string`);
  if (d !== undefined && typeof d !== 'string') throw new Error(`keys[${index}].d is not a string`);
  const publicKey = importKey(index, () => createPublicKey({ key: { kty, crv, x }, format: 'jwk' }));
  const privateKey =
    d === undefined ? null : importKey(index, () => createPrivateKey({ key: { kty, crv, x, d }, format: 'jwk' }));
  if (privateKey !== null && !createPublicKey(privateKey).equals(publicKey)) {
    throw new Error(`keys[${index}] has a private part (d) that doesn't belong to its public one (x)`);
  }
  return { kid: kid ?? thumbprint(x), publicKey, privateKey };
}

function importKey(index: number, read: () => KeyObject): KeyObject {
  try {
    return read();
  } catch {
    throw new Error(`keys[${index}] is not a complete Ed25519 key`);
  }
}

function derive(key: KeyObject, purpose: string): KeyObject {
  const secret = Buffer.from(String(key.export({ format: 'jwk' }).d), 'base64url');
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', purpose, 32)));
}

/** Returns the thumbprint (RFC 7638) of a key. The RFC requires the members in this order, without white space. */
function thumbprint(x: string): string {
  return createHash('sha256')
    .update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }))
    .digest('base64url');
}
