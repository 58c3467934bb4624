import type { FieldError } from '../errors.ts';
import { readLine } from '../core/text.ts';

/** In code points, as RFC 5321 allows. */
export const maxEmailLength = 254;

/**
 * What a browser accepts in `<input type=email>`:
 * https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address. A host in another script is written in
 * punycode. The check constraints of `users` and `pending_sign_ups` apply the same rule.
 */
const address =
  /^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/;

/** Reads an email address, and adds an error if it cannot be one. Checks its form, not whether mail arrives there. */
export function readEmail(value: string, errors: FieldError[]): string {
  const refusedBefore = errors.length;
  const email = readLine(value, ['email'], maxEmailLength, errors);
  if (errors.length === refusedBefore && !address.test(email)) {
    errors.push({ path: ['email'], code: 'MALFORMED', message: 'is not an email address' });
  }
  return email;
}
