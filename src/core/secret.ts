import { createHash, createHmac, randomBytes, type KeyObject } from 'node:crypto';
import { decodeBase64url } from './base64url.ts';

/**
 * The prefix of each kind of secret. The prefix shows what a leaked secret gives access to, and lets scanners find
 * leaked secrets.
 */
const prefixes = {
  apiKey: 'parley_',
  refreshToken: 'prt_',
  streamReservation: 'psr_',
  invite: 'piv_',
  incomingWebhook: 'pwh_',
  emailVerification: 'pev_',
  passwordReset: 'ppr_',
} as const;
const secretBytes = 32;

/** What a secret is for. A secret of one kind is never accepted in place of another kind. */
export type SecretKind = keyof typeof prefixes;

/** A secret, which is shown only once, and its hash, which is stored. */
export type NewSecret = { secret: string; hash: Buffer };

/** Creates a secret of 256 random bits: the prefix of its kind, followed by the bits as base64url. */
export function createSecret(kind: SecretKind): NewSecret {
  return form(kind, randomBytes(secretBytes));
}

/**
 * Derives a secret from another secret, `origin`. The result is always the same for the same `origin` and key, and
 * cannot be computed without the key.
 */
export function deriveSecret(kind: SecretKind, key: KeyObject, origin: string): NewSecret {
  return form(kind, createHmac('sha256', key).update(origin).digest());
}

/**
 * Returns the hash by which a secret is looked up, or null if the text is not a secret of this kind. Comparing hashes
 * in an index reveals nothing about the secrets, so no constant-time comparison is needed. Because the secrets are
 * random, a plain SHA-256 is enough.
 */
export function hashSecret(kind: SecretKind, text: string): Buffer | null {
  const prefix = prefixes[kind];
  if (text.length > prefix.length + 2 * secretBytes || !text.startsWith(prefix)) return null;
  return decodeBase64url(text.slice(prefix.length))?.length === secretBytes ? hash(text) : null;
}

/** Whether the text has the prefix of this kind of secret. The text need not be a valid secret. */
export function claimsKind(kind: SecretKind, text: string): boolean {
  return text.startsWith(prefixes[kind]);
}

function form(kind: SecretKind, bytes: Buffer): NewSecret {
  const secret = prefixes[kind] + bytes.toString('base64url');
  return { secret, hash: hash(secret) };
}

function hash(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
