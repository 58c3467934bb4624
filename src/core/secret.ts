import { createHash, randomBytes } from 'node:crypto';
import { decodeBase64url } from './base64url.ts';

/** What each kind of secret begins with: it shows what a leaked one opens, and lets scanners find it. */
const prefixes = { refreshToken: 'prt_', streamReservation: 'psr_' } as const;
const secretBytes = 32;

/** What a secret is good for. One kind is never accepted in another's place. */
export type SecretKind = keyof typeof prefixes;

/** A secret to be shown once, and the hash to be stored. */
export type NewSecret = { secret: string; hash: Buffer };

/** Makes a secret of 256 random bits: the prefix of its kind, and the bits as base64url. */
export function createSecret(kind: SecretKind): NewSecret {
  const secret = prefixes[kind] + randomBytes(secretBytes).toString('base64url');
  return { secret, hash: hash(secret) };
}

/**
 * The hash by which a secret is looked up, or null for a text that is not a secret of this kind. Comparing hashes in an
 * index reveals nothing about the secrets, so no comparison in constant time is needed; and because a secret is random, a
 * plain SHA-256 will do.
 */
export function hashSecret(kind: SecretKind, text: string): Buffer | null {
  const prefix = prefixes[kind];
  if (text.length > prefix.length + 2 * secretBytes || !text.startsWith(prefix)) return null;
  return decodeBase64url(text.slice(prefix.length))?.length === secretBytes ? hash(text) : null;
}

function hash(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
