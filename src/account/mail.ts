import { Forbidden, InvalidCredentials, type ExpectedError } from '../errors.ts';

/**
 * What accounts need for sending mail. Call `ring` after the commit of a transaction that queued an email.
 * `reportsNewSignIns`: users receive an email about sign-ins from devices or networks that are new to their account.
 */
export type AccountMail = { ring: () => void; reportsNewSignIns: boolean };

/** The parameter of operations that need mail. */
type MayHaveMail = { mail: AccountMail | null };

/** Throws Forbidden where the server sends no mail. */
export function requireMail({ mail }: MayHaveMail): AccountMail {
  if (mail === null) throw sendsNoMail();
  return mail;
}

/**
 * The refusal of a code that is not valid. Where the server sends no mail, the refusal is Forbidden: only an operator
 * can have created a code there.
 */
export function invalidCode({ mail }: MayHaveMail): ExpectedError {
  return mail === null ? sendsNoMail() : new InvalidCredentials('The code is not valid: request a new one.');
}

function sendsNoMail(): Forbidden {
  return new Forbidden('This server sends no mail.');
}
