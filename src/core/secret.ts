import { createHash, createHmac, randomBytes, type KeyObject } from 'node:crypto';
import { decodeBase64url } from './base64url.ts';

/** The prefix of each kind of secret: it shows what a leaked one gives access to, and lets scanners find it. */
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

/** What a secret is for. One kind is never accepted in place of another. */
export type SecretKind = keyof typeof prefixes;

/** A secret to show once, and its hash to store. */
export type NewSecret = { secret: string; hash: Buffer };

/** Creates a secret of 256 random bits: the prefix of its kind, followed by the bits as base64url. */
export function createSecret(kind: SecretKind): NewSecret {
  return form(kind, randomBytes(secretBytes));
}

/** Derives a secret from another secret, `origin`: always the same one, which cannot be computed without the key. */
export function deriveSecret(kind: SecretKind, key: KeyObject, origin: string): NewSecret {
  return form(kind, createHmac('sha256', key).update(origin).digest());
}

/**
 * Returns the hash by which a secret is looked up, or null if the text is not a secret of this kind. Comparing hashes
 * in an index reveals nothing about the secrets, so no constant-time comparison is needed; and because a secret is
 * random, a plain SHA-256 suffices.
 */
export function hashSecret(kind: SecretKind, text: string): Buffer | null {
  const prefix = prefixes[kind];
  if (text.length > prefix.length + 2 * secretBytes || !text.startsWith(prefix)) return null;
  return decodeBase64url(text.slice(prefix.length))?.length === secretBytes ? hash(text) : null;
}

/** Whether the text looks like a secret of this kind; it need not be one. */
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
