import type { AddressRange } from '../core/address-range.ts';
import { Egress } from '../core/egress.ts';
import type { Chore } from '../core/housekeeping.ts';
import type { RateLimits } from '../core/rate-limit.ts';
import type { Metrics } from '../core/metric.ts';
import type { Report } from '../core/report.ts';
import { CannotStart } from '../errors.ts';
import { pruneCodes } from '../mail/mail-code.ts';
import { openMail, type MailSettings } from '../mail/opening.ts';
import { pruneMails } from '../mail/outbox.ts';
import type { Db } from '../postgres/client.ts';
import type { Leases } from '../postgres/lease.ts';
import type { LoopTimes } from '../postgres/leased-loop.ts';
import { createAccounts, type Accounts, type SignUpRules } from './account.ts';
import { ForeignTokens } from './foreign-token.ts';
import type { Issuer } from './issuer.ts';
import { addressLetter } from './letter.ts';
import type { Argon2Cost } from './password.ts';
import { pruneSignUps } from './pending-sign-up.ts';
import type { AccessTokenKeys } from './token-key.ts';

/** The settings for accounts. `terminal`: where emails are printed if the server has no mail server. */
export type AccountSettings = MailSettings & {
  port: number;
  hasPasswords: boolean;
  authIssuers: Issuer[] | null;
  egressAllow: AddressRange[] | null;
  mailNewSignIn: 'on' | 'off';
  signUp: SignUpRules['mode'];
  signUpConfirm: 'on' | 'off' | null;
  terminal?: NodeJS.WritableStream | undefined;
  argon2?: Argon2Cost | undefined;
  mailTimes?: Partial<LoopTimes> | undefined;
};

/**
 * Sets up accounts, and sends their emails until `started` is disposed. Throws CannotStart for settings that conflict,
 * and for email templates that cannot be used.
 */
export async function openAccounts(
  settings: AccountSettings,
  {
    started,
    ...parts
  }: {
    db: Db;
    keys: AccessTokenKeys;
    limits: RateLimits;
    leases: Leases;
    report: Report;
    metrics: Metrics;
    started: AsyncDisposableStack;
  },
): Promise<Accounts> {
  const { terminal, port, mailTimes, mailNewSignIn, authIssuers, egressAllow } = settings;
  const egress = new Egress(egressAllow ?? []);
  const printing = terminal === undefined ? null : { output: terminal, appUrl: `http://localhost:${port}` };
  const delivery = await openMail(settings, printing, { ...parts, address: addressLetter, times: mailTimes });
  delivery?.open();
  started.defer(() => delivery?.close());
  return createAccounts({
    ...parts,
    mail: delivery && { ring: () => delivery.ring(), reportsNewSignIns: mailNewSignIn === 'on' },
    signUps: readSignUpRules(settings, delivery !== null),
    argon2: settings.argon2,
    hasPasswords: settings.hasPasswords,
    foreign: new ForeignTokens(authIssuers ?? [], { egress, report: parts.report }),
  });
}

/**
 * If emails are printed to a terminal, sign-ups must be confirmed only if the setting says so. The first conversation
 * on a new server therefore works without email.
 */
function readSignUpRules({ signUp, signUpConfirm, smtpUrl }: AccountSettings, hasMail: boolean): SignUpRules {
  if (signUpConfirm === 'on' && !hasMail)
    throw new CannotStart('SIGN_UP_CONFIRM: "on" requires SMTP_URL, which is not set');
  return { mode: signUp, isConfirmed: signUpConfirm === null ? smtpUrl !== null : signUpConfirm === 'on' };
}

/** Deletes undeliverable emails, expired codes and unconfirmed sign-ups, even if this node does not send emails. */
export function mailChores({ pool }: Pick<Db, 'pool'>, report: Report): Chore[] {
  const giveUp = async (limit: number) => {
    const count = await pruneMails(pool, limit);
    if (count > 0) report('warn', 'emails could not be sent for three days, and have been dropped', { count });
    return count;
  };
  return [
    { name: 'undeliverable emails', clear: giveUp },
    { name: 'expired codes', clear: (limit) => pruneCodes(pool, limit) },
    { name: 'unconfirmed sign-ups', clear: (limit) => pruneSignUps(pool, limit) },
  ];
}
