import { readCustom, type Custom } from '../core/custom.ts';
import { readPictureUrl } from './claimed-picture.ts';
import { isRecord } from '../core/json.ts';
import { maxNameLength } from '../core/text.ts';
import { maxEmailLength, readEmail } from './email.ts';
import type { ServerRole } from '../postgres/generated/prisma/client.ts';
import { maxIdentifierLength, type Issuer, type RoleClaim } from './issuer.ts';

/**
 * The profile that a token claims for its user. A claim is undefined, and changes nothing, if it is missing or if its
 * value does not fit into a profile. However, `email` is null for an address that the issuer has not verified, or that
 * is malformed.
 */
export type ClaimedProfile = {
  username?: string;
  displayName?: string;
  email?: string | null;
  custom?: Custom;
  /** The URL of a picture. */
  picture?: string;
  /** The role that the issuer grants; undefined if the issuer grants no roles to anyone. */
  serverRole?: ServerRole;
};

/**
 * Returns the value of a claim. If no claim has the whole path as its name (`https://chat.example/name`), reads it as a
 * dotted path (`user_metadata.full_name`). Returns undefined if there is no such claim.
 */
export function claimAt(claims: Readonly<Record<string, unknown>>, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const part of path.split('.')) {
    if (!isRecord(value) || !Object.hasOwn(value, part)) return undefined;
    value = value[part];
  }
  return value;
}

/**
 * Returns a claim that identifies something, as text. A whole number becomes its digits. Returns null for anything
 * else, such as an empty or very long text, or one with control characters.
 */
export function readIdentifier(value: unknown): string | null {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  if (typeof value !== 'string' || value === '' || value.length > maxIdentifierLength) return null;
  return value.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(value) ? value : null;
}

/** Reads the user's profile from the claims, and makes it fit the rules for profiles. */
export function readProfile(
  claims: Readonly<Record<string, unknown>>,
  { claims: names, serverRoles }: Pick<Issuer, 'claims' | 'serverRoles'>,
): ClaimedProfile {
  const at = (path: string | null) => (path === null ? undefined : claimAt(claims, path));
  const username = readLabel(at(names.username), maxIdentifierLength);
  const displayName = readLabel(at(names.displayName), maxNameLength);
  const picture = readPictureUrl(at(names.picture));
  const email = readClaimedEmail(at(names.email), at(names.emailVerified));
  return {
    ...(username !== null && { username }),
    ...(displayName !== null && { displayName }),
    ...(email !== undefined && { email }),
    ...readClaimedCustom(at(names.custom)),
    ...(picture !== null && { picture }),
    ...(serverRoles !== null && { serverRole: readServerRole(claimAt(claims, serverRoles.claim), serverRoles) }),
  };
}

/** Returns the text as one line without control characters, cut off at the maximum length; null if nothing is left. */
function readLabel(value: unknown, maxLength: number): string | null {
  if (typeof value !== 'string') return null;
  // Cuts a huge text before splitting it into characters, because only the first characters are needed.
  const line = value
    .slice(0, maxLength * 4)
    .toWellFormed()
    .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .trim();
  return [...line].slice(0, maxLength).join('').trim() || null;
}

/** The claim is a single value or a list of values. A user without the claim has no role. */
function readServerRole(claim: unknown, { ADMIN, MODERATOR }: RoleClaim): ServerRole {
  const values: unknown[] = Array.isArray(claim) ? claim : [claim];
  if (ADMIN !== null && values.includes(ADMIN)) return 'ADMIN';
  return MODERATOR !== null && values.includes(MODERATOR) ? 'MODERATOR' : 'USER';
}

/** Reads an object that a profile can hold. Anything else, including a larger object, counts as missing. */
function readClaimedCustom(value: unknown): Pick<ClaimedProfile, 'custom'> {
  if (!isRecord(value)) return {};
  const errors: Parameters<typeof readCustom>[2] = [];
  const custom = readCustom(value, [], errors);
  return errors.length === 0 ? { custom } : {};
}

/** Some providers send `email_verified` as the string "true". */
function readClaimedEmail(value: unknown, verified: unknown): string | null | undefined {
  if (typeof value !== 'string' || value === '' || value.length > maxEmailLength * 2) return undefined;
  if (verified !== true && verified !== 'true') return null;
  const errors: Parameters<typeof readEmail>[1] = [];
  const email = readEmail(value, errors);
  return errors.length === 0 ? email : null;
}
