import { readCustom, type Custom } from '../core/custom.ts';
import { readPictureUrl } from './claimed-picture.ts';
import { isRecord } from '../core/json.ts';
import { maxNameLength } from '../core/text.ts';
import { maxEmailLength, readEmail } from './email.ts';
import type { ServerRole } from '../postgres/generated/prisma/client.ts';
import { maxIdentifierLength, type Issuer, type RoleClaim } from './issuer.ts';

/**
 * What a token says about its user. A claim that is missing, or that no profile could hold, is undefined: it changes
 * nothing. But `email` is null for an address that the issuer has not verified, or that is malformed.
 */
export type ClaimedProfile = {
  username?: string;
  displayName?: string;
  email?: string | null;
  custom?: Custom;
  /** The URL of a picture. */
  picture?: string;
  /** What the issuer grants; undefined if it grants no roles to anyone. */
  serverRole?: ServerRole;
};

/**
 * The value of a claim. If no claim has the whole name (`https://chat.example/name`), the name is read as a dotted path
 * (`user_metadata.full_name`). Undefined when there is none.
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
 * A claim that identifies something, as text: a whole number counts as its digits. Null for anything else, such as an
 * empty or very long text, or one with control characters.
 */
export function readIdentifier(value: unknown): string | null {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  if (typeof value !== 'string' || value === '' || value.length > maxIdentifierLength) return null;
  return value.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(value) ? value : null;
}

/** What the claims say about the user, made to fit the rules for profiles. */
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

/** One line without control characters, cut off at the maximum length; null when nothing is left. */
function readLabel(value: unknown, maxLength: number): string | null {
  if (typeof value !== 'string') return null;
  // A huge text is not split into characters just to keep a few.
  const line = value
    .slice(0, maxLength * 4)
    .toWellFormed()
    .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .trim();
  return [...line].slice(0, maxLength).join('').trim() || null;
}

/** A claim is one value, or a list of them. Without the claim, the user has no role. */
function readServerRole(claim: unknown, { ADMIN, MODERATOR }: RoleClaim): ServerRole {
  const values: unknown[] = Array.isArray(claim) ? claim : [claim];
  if (ADMIN !== null && values.includes(ADMIN)) return 'ADMIN';
  return MODERATOR !== null && values.includes(MODERATOR) ? 'MODERATOR' : 'USER';
}

/** An object that a profile can hold; anything else, including a larger object, counts as missing. */
function readClaimedCustom(value: unknown): Pick<ClaimedProfile, 'custom'> {
  if (!isRecord(value)) return {};
  const errors: Parameters<typeof readCustom>[2] = [];
  const custom = readCustom(value, [], errors);
  return errors.length === 0 ? { custom } : {};
}

/** Some providers send `email_verified` as the text "true". */
function readClaimedEmail(value: unknown, verified: unknown): string | null | undefined {
  if (typeof value !== 'string' || value === '' || value.length > maxEmailLength * 2) return undefined;
  if (verified !== true && verified !== 'true') return null;
  const errors: Parameters<typeof readEmail>[1] = [];
  const email = readEmail(value, errors);
  return errors.length === 0 ? email : null;
}
