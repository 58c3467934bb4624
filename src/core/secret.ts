import { createHash, createHmac, randomBytes, type KeyObject } from 'node:crypto';
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
  return form(kind, randomBytes(secretBytes));
}

/** The secret that follows from `origin`, another secret: always the same, and only with the key can it be told. */
export function deriveSecret(kind: SecretKind, key: KeyObject, origin: string): NewSecret {
  return form(kind, createHmac('sha256', key).update(origin).digest());
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

function form(kind: SecretKind, bytes: Buffer): NewSecret {
  const secret = prefixes[kind] + bytes.toString('base64url');
  return { secret, hash: hash(secret) };
}

function hash(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
