import type { Asker } from '../core/asker.ts';
import { findVerificationCode, useCode, type CodeOwner } from '../mail/mail-code.ts';
import { queueMail, withdrawMails } from '../mail/outbox.ts';
import { inTransaction, type Transaction } from '../postgres/client.ts';
import { constraintOf } from '../postgres/sql-state.ts';
import type { Accounts } from './account.ts';
import { invalidCode, requireMail } from './mail.ts';
import { completeSignUp, hasAccount } from './pending-sign-up.ts';

/**
 * Queues an email with a code for the asker's address. Returns false without sending anything if the address is already
 * verified or if the account has no address. Throws RateLimited, and Forbidden if the server sends no mail.
 */
export async function requestEmailVerification(accounts: Accounts, asker: Asker): Promise<boolean> {
  const mail = requireMail(accounts);
  const { db, limits } = accounts;
  const user = await db.prisma.user.findUnique({ where: { id: asker.userId } });
  if (user === null || user.email === null || user.emailVerifiedAt !== null) return false;
  await limits.take('ownMails', { userId: asker.userId });
  await queueMail(db.pool, { kind: 'VERIFICATION', userId: asker.userId });
  mail.ring();
  return true;
}

/**
 * Uses the code from an email, and returns the address that it verifies: the account's current address, its new address
 * (which takes effect now), or the address of a sign-up (which becomes an account now). Throws InvalidCredentials if
 * the code is invalid, used or expired, if its address now belongs to another account, or if its invite no longer lets
 * anyone in. Throws RateLimited after too many attempts.
 */
export async function verifyEmail(
  accounts: Accounts,
  { code, address }: { code: string; address: string },
): Promise<{ email: string }> {
  const { db, limits } = accounts;
  await limits.take('mailCodes', { address });
  const owner = await findVerificationCode(db.pool, code);
  if (owner === null) throw invalidCode(accounts);
  await inTransaction(db, async (transaction) => {
    const isUsed = await applyCode(transaction, owner, code);
    if (!isUsed) throw invalidCode(accounts);
  });
  return { email: owner.email };
}

async function applyCode(transaction: Transaction, owner: CodeOwner, code: string): Promise<boolean> {
  const { userId, kind } = owner;
  if (userId === null) return (await useCode(transaction, owner, code)) && (await completeSignUp(transaction, owner));
  const isApplied =
    kind === 'EMAIL_CHANGE' ? await changeAddress(transaction, owner) : await markVerified(transaction, owner);
  // This statement comes after the statement that locks the user, as in all code that uses or withdraws codes.
  if (!isApplied || !(await useCode(transaction, owner, code))) return false;
  // If an email was sent twice, there are two codes.
  await withdrawMails(transaction, userId, [kind]);
  return true;
}

/** Returns false if the account now has another address. */
async function markVerified(transaction: Transaction, { userId, email }: CodeOwner): Promise<boolean> {
  // Raw SQL, for fold() and for the database's clock.
  const { rowCount } = await transaction.query(
    `update users set email_verified_at = coalesce(email_verified_at, clock_timestamp())
    where id = $1 and deleted_at is null and fold(email) = fold($2)`,
    [userId, email],
  );
  return rowCount === 1;
}

/**
 * Changes the address of the account. Codes sent to the old address become invalid. Throws InvalidCredentials if the
 * address is taken.
 */
async function changeAddress(transaction: Transaction, { userId, email }: CodeOwner): Promise<boolean> {
  try {
    const { rowCount } = await transaction.query(
      'update users set email = $2, email_verified_at = clock_timestamp() where id = $1 and deleted_at is null',
      [userId, email],
    );
    return rowCount === 1;
  } catch (error) {
    if (constraintOf(error) === 'users_email_key') throw hasAccount();
    throw error;
  }
}
