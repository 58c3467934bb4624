import type { FieldError } from '../errors.ts';
import { readLine } from '../core/text.ts';

/** In code points, as RFC 5321 allows. */
export const maxEmailLength = 254;

/**
 * Reads an email address, and adds an error if it cannot be one. Checks only the form (something, an @, something),
 * not whether mail arrives there.
 */
export function readEmail(value: string, errors: FieldError[]): string {
  const refusedBefore = errors.length;
  const email = readLine(value, ['email'], maxEmailLength, errors);
  if (errors.length === refusedBefore && !/^[^@\s]+@[^@\s]+$/.test(email)) {
    errors.push({ path: ['email'], code: 'MALFORMED', message: 'is not an email address' });
  }
  return email;
}
