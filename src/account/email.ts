import type { FieldError } from '../errors.ts';
import { readLine } from '../core/text.ts';

/** The maximum length of an address in code points, as in RFC 5321. */
export const maxEmailLength = 254;

/**
 * The form that a browser accepts in `<input type=email>`:
 * https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address. A domain name in another script must be
 * written in punycode. The check constraints of `users` and `pending_sign_ups` apply the same rule.
 */
const address =
  /^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/;

/**
 * Reads an email address, and adds an error if the text is not a valid address. Checks only the form of the address,
 * not whether it can receive mail.
 */
export function readEmail(value: string, errors: FieldError[]): string {
  const refusedBefore = errors.length;
  const email = readLine(value, ['email'], maxEmailLength, errors);
  if (errors.length === refusedBefore && !address.test(email)) {
    errors.push({ path: ['email'], code: 'MALFORMED', message: 'is not an email address' });
  }
  return email;
}
