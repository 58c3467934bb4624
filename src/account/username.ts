import type { FieldError } from '../errors.ts';
import { maxNameLength } from '../core/text.ts';

/**
 * Names that address a group or stand for the server. The check `username_is_not_reserved` of `users` has the same
 * list.
 */
const reservedNames = new Set(['everyone', 'here', 'channel', 'admin', 'system', 'parley']);
/** The prefix of an erased account's username. */
const erasedPrefix = 'erased_';

/** Adds to `errors` when the username is malformed, or reserved without regard to case. */
export function checkNewUsername(username: string, errors: FieldError[]): void {
  const problem = findProblem(username);
  if (problem !== null) errors.push({ path: ['username'], ...problem });
}

function findProblem(username: string): Pick<FieldError, 'code' | 'message'> | null {
  if (!/^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?$/.test(username)) {
    const message =
      'must be 1 to 64 letters (a to z), digits, `_`, `.` or `-`, and neither begin nor end with `.` or `-`';
    return { code: readCode(username), message };
  }
  // The name is ASCII, so lower-casing it equals the database's fold().
  const folded = username.toLowerCase();
  if (reservedNames.has(folded) || folded.startsWith(erasedPrefix))
    return { code: 'NOT_ALLOWED', message: 'is reserved' };
  return null;
}

function readCode(username: string): FieldError['code'] {
  if (username === '') return 'REQUIRED';
  return username.length > maxNameLength ? 'TOO_LONG' : 'MALFORMED';
}
