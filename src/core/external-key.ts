import type { FieldError } from '../errors.ts';

/** The length in characters, which are all ASCII. */
export const maxExternalKeyLength = 255;

/**
 * Validates an embedding product's key for a user or a chat. It must be visible ASCII, so that it fits into a header
 * and a URL. Case matters. The constraints in the database apply the same rule.
 */
export function readExternalKey(value: string, path: string[], errors: FieldError[]): string {
  const problem = problemWith(value);
  if (problem !== null) errors.push({ path, ...problem });
  return value;
}

/**
 * Returns whether the text can be the key of a user or a chat. Check this before a query, because PostgreSQL refuses
 * some other texts even in a comparison.
 */
export function isExternalKey(value: string): boolean {
  return problemWith(value) === null;
}

function problemWith(value: string): Omit<FieldError, 'path'> | null {
  if (value === '') return { code: 'REQUIRED', message: 'must not be empty' };
  if (value.length > maxExternalKeyLength) {
    return { code: 'TOO_LONG', message: `must be at most ${maxExternalKeyLength} characters long` };
  }
  if (!/^[!-~]+$/.test(value)) {
    return { code: 'MALFORMED', message: 'must consist of visible ASCII characters, without spaces' };
  }
  return null;
}
