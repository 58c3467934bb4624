import { Forbidden, InvalidCredentials, type ExpectedError } from '../errors.ts';

/**
 * Specifies how the account functions send mail. Call `ring` after the commit of a transaction that queued an email.
 * `reportsNewSignIns`: whether users receive an email about sign-ins from devices or networks that are new to their
 * account.
 */
export type AccountMail = { ring: () => void; reportsNewSignIns: boolean };

/** The parameter for operations that need mail. */
type MayHaveMail = { mail: AccountMail | null };

/** Throws Forbidden if the server sends no mail. */
export function requireMail({ mail }: MayHaveMail): AccountMail {
  if (mail === null) throw sendsNoMail();
  return mail;
}

/**
 * Returns the error for an invalid code. If the server sends no mail, the error is Forbidden, because on such a server,
 * only an operator can have created a code.
 */
export function invalidCode({ mail }: MayHaveMail): ExpectedError {
  return mail === null ? sendsNoMail() : new InvalidCredentials('The code is not valid: request a new one.');
}

function sendsNoMail(): Forbidden {
  return new Forbidden('This server sends no mail.');
}
