import { InvalidInput, type FieldError } from '../errors.ts';
import { findResetCode, useCode, type CodeOwner } from '../mail/mail-code.ts';
import { queueMail, withdrawMails } from '../mail/outbox.ts';
import { inTransaction, type Transaction } from '../postgres/client.ts';
import { requirePasswords, type Accounts, type Device } from './account.ts';
import { readEmail } from './email.ts';
import { rememberDevice } from './known-device.ts';
import { rememberNetwork } from './known-network.ts';
import { invalidCode, requireMail } from './mail.ts';
import { checkNewPassword, namesOf } from './password.ts';
import { endSessions, handOver, openSession, type SignedIn } from './session.ts';

/**
 * Queues an email with a code for the account with that address. An address without an account takes the same path and
 * the same time, because the server looks for the account only when it sends the email. Throws Forbidden if the server
 * sends no mail or has no passwords, and RateLimited for a network that asks too often.
 */
export async function requestPasswordReset(
  accounts: Accounts,
  { email: given, address }: { email: string; address: string },
): Promise<void> {
  requirePasswords(accounts);
  const mail = requireMail(accounts);
  const { limits, db } = accounts;
  await limits.take('mailCodes', { address });
  const errors: FieldError[] = [];
  const email = readEmail(given, errors);
  // If the string is not an address, no account has it.
  if (errors.length > 0 || !(await limits.tries('mailRequests', { email, address }))) return;
  await queueMail(db.pool, { kind: 'PASSWORD_RESET', email });
  mail.ring();
}

/**
 * Sets a new password with the code from an email, and verifies the address that the email went to. Ends all sessions
 * of the account except those of webhooks, opens a new session, and withdraws the account's other codes. Throws
 * InvalidCredentials for a code that is invalid or no longer valid, and InvalidInput for an invalid password (the code
 * then stays valid). Throws RateLimited for a network that tries too often, and Forbidden if the server has no
 * passwords.
 */
export async function resetPassword(
  accounts: Accounts,
  input: Device & { code: string; newPassword: string },
): Promise<SignedIn> {
  requirePasswords(accounts);
  const { db, limits, passwords } = accounts;
  const { code, newPassword, address } = input;
  await limits.take('mailCodes', { address });
  const owner = await findResetCode(db.pool, code);
  const user = owner === null ? null : await db.prisma.user.findUnique({ where: { id: owner.userId ?? 0n } });
  if (owner === null || user === null) throw invalidCode(accounts);
  const errors: FieldError[] = [];
  checkNewPassword(newPassword, ['newPassword'], namesOf({ username: user.username, email: owner.email }), errors);
  if (errors.length > 0) throw new InvalidInput(errors);

  const newHash = await passwords.hash(newPassword, { person: address, isKnown: false });
  const opened = await inTransaction(db, async (transaction) => {
    if (!(await replacePassword(transaction, { owner, code, newHash }))) throw invalidCode(accounts);
    const endedIds = await endSessions(transaction, { userId: user.id, webhookId: null });
    await rememberNetwork(transaction, accounts.keys, { userId: user.id, address });
    await rememberDevice(transaction, accounts.keys, { userId: user.id, userAgent: input.userAgent });
    const session = await openSession(transaction, { userId: user.id, userAgent: input.userAgent });
    return { ...session, endedIds: [...endedIds, ...session.endedIds] };
  });
  return handOver(accounts, opened);
}

/**
 * Uses up the code and replaces the password. Returns false if the code is no longer valid, or the account now has
 * another address.
 */
async function replacePassword(
  transaction: Transaction,
  { owner, code, newHash }: { owner: CodeOwner; code: string; newHash: string },
): Promise<boolean> {
  const { userId, email } = owner;
  // Verifies the address, and locks the user, like all code that opens sessions or ends all of a user's sessions. Raw
  // SQL, because Prisma cannot express fold().
  const { rowCount } = await transaction.query(
    `update users set email_verified_at = coalesce(email_verified_at, clock_timestamp())
    where id = $1 and deleted_at is null and fold(email) = fold($2)`,
    [userId, email],
  );
  if (userId === null || rowCount !== 1 || !(await useCode(transaction, owner, code))) return false;
  const { count } = await transaction.prisma.credentials.updateMany({
    where: { userId },
    data: { passwordHash: newHash },
  });
  await withdrawMails(transaction, userId, ['PASSWORD_RESET', 'VERIFICATION', 'EMAIL_CHANGE']);
  return count === 1;
}
