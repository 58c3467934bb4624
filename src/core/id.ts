import { InvalidInput } from '../errors.ts';
import { encodeBase64url } from './base64url.ts';

/** The types that `node(id:)` resolves. */
export type NodeType =
  | 'User'
  | 'Session'
  | 'Chat'
  | 'Member'
  | 'Message'
  | 'File'
  | 'Ban'
  | 'Invite'
  | 'Report'
  | 'ApiKey'
  | 'Webhook'
  | 'IncomingWebhook';

const maxBigint = 2n ** 63n - 1n;

/**
 * Returns a global id: the base64url form of `Type:key`, which is opaque to clients. A key is one number, or several
 * numbers joined by `_`.
 */
export function encodeId(type: string, key: bigint | number | string): string {
  return encodeBase64url(`${type}:${key}`);
}

/** Parses a global id into its type and its key; returns null if the string is not a global id. */
export function parseId(id: string): { type: string; key: string } | null {
  if (id.length > 128) return null;
  const match = /^([A-Z][A-Za-z]*):([0-9]{1,19}(?:_[0-9]{1,19})*)$/.exec(
    Buffer.from(id, 'base64url').toString('latin1'),
  );
  if (match?.[1] === undefined || match[2] === undefined) return null;
  if (match[2].split('_').some((part) => BigInt(part) > maxBigint)) return null;
  // Each object has exactly one id, so other encodings of the same text or of the same number are refused.
  return encodeId(match[1], match[2]) === id && !/(^|_)0[0-9]/.test(match[2])
    ? { type: match[1], key: match[2] }
    : null;
}

/** Returns the key in a global id of the given type. Throws an InvalidInput at `path` for anything else. */
export function decodeId(type: NodeType, id: string, path: string[]): bigint {
  const parsed = parseId(id);
  if (parsed?.type !== type || parsed.key.includes('_')) {
    throw new InvalidInput([{ path, code: 'MALFORMED', message: `is not the id of a ${type}` }]);
  }
  return BigInt(parsed.key);
}
