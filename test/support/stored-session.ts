import { decodeJwt, SignJWT } from 'jose';
import type { parseKeySet } from '../../src/account/token-key.ts';
import type { KeyValueStore } from '../../src/client/client.ts';

/** Returns a store for a client. The test can read the contents of the store. */
export function storageIn(stored: Map<string, string>): KeyValueStore {
  return {
    get: async (key) => stored.get(key),
    set: async (key, value) => void stored.set(key, value),
    delete: async (key) => void stored.delete(key),
  };
}

/** Makes the access token that a client has stored expire after `seconds`. */
export async function shortenToken(
  stored: Map<string, string>,
  { kid, key }: ReturnType<typeof parseKeySet>['signing'],
  seconds: number,
): Promise<void> {
  const [name = '', text = '{}'] = [...stored].find(([each]) => each.endsWith('session')) ?? [];
  const tokens = JSON.parse(text);
  const claims = { ...decodeJwt(tokens.access), exp: Math.ceil(Date.now() / 1_000) + seconds };
  const access = await new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', kid, typ: 'JWT' }).sign(key);
  stored.set(name, JSON.stringify({ ...tokens, access, freshUntil: Date.now() + seconds * 900 }));
}
