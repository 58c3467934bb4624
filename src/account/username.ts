import { randomInt } from 'node:crypto';
import type { FieldError } from '../errors.ts';
import { maxNameLength } from '../core/text.ts';

/**
 * Names that address a group or represent the server. The check constraint `username_is_not_reserved` of `users` has
 * the same list.
 */
const reservedNames = new Set(['everyone', 'here', 'channel', 'admin', 'system', 'parley']);
/** The prefix of an erased account's username. */
const erasedPrefix = 'erased_';
/** The maximum length, in digits, of a suffix that distinguishes a username from taken ones. */
export const maxSuffixLength = 10;

/** Adds an error if the username is malformed or, ignoring case, reserved. */
export function checkNewUsername(username: string, errors: FieldError[]): void {
  const problem = findProblem(username);
  if (problem !== null) errors.push({ path: ['username'], ...problem });
}

/**
 * Derives a username from any text: takes the part before an @, removes accents and replaces other characters. The
 * result is well-formed and leaves room for a suffix (`listUsernames`), but may be reserved. Returns null if nothing
 * usable is left.
 */
export function fitUsername(text: string): string | null {
  const [head = ''] = text.split('@', 1);
  const fitted = head
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .replace(/[^A-Za-z0-9_.-]+/g, '_')
    .slice(0, maxNameLength - maxSuffixLength)
    .replace(/^[._-]+|[._-]+$/g, '');
  return fitted === '' || fitted.toLowerCase().startsWith(erasedPrefix) ? null : fitted;
}

/** Lists usernames to try, in this order: the preferred one, then others that begin with it. */
export function listUsernames(wished: string): string[] {
  const small = Array.from({ length: 8 }, (_, index) => String(index + 2));
  const random = [4, 4, 6, 6, maxSuffixLength, maxSuffixLength].map((digits) =>
    String(randomInt(10 ** (digits - 1), 10 ** digits)),
  );
  return ['', ...small, ...random].map((suffix) => wished + suffix).filter((each) => findProblem(each) === null);
}

function findProblem(username: string): Pick<FieldError, 'code' | 'message'> | null {
  if (!/^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?$/.test(username)) {
    const message =
      'must be 1 to 64 letters (a to z), digits, `_`, `.` or `-`, and neither begin nor end with `.` or `-`';
    return { code: readCode(username), message };
  }
  // The name is ASCII, so its lower-case form equals the result of the database's fold().
  const folded = username.toLowerCase();
  if (reservedNames.has(folded) || folded.startsWith(erasedPrefix))
    return { code: 'NOT_ALLOWED', message: 'is reserved' };
  return null;
}

function readCode(username: string): FieldError['code'] {
  if (username === '') return 'REQUIRED';
  return username.length > maxNameLength ? 'TOO_LONG' : 'MALFORMED';
}
