import type { Asker } from '../core/asker.ts';
import { InvalidInput, type FieldError } from '../errors.ts';
import { queueMail, withdrawMails } from '../mail/outbox.ts';
import { inTransaction } from '../postgres/client.ts';
import type { Accounts } from './account.ts';
import { lockCredentials, requireOwnCredentials } from './credentials.ts';
import { readEmail } from './email.ts';
import { requireMail } from './mail.ts';
import { checkGivenProof, requireProof } from './proof.ts';

/**
 * Queues an email with a code for the new address, and a notice for the current one. The change takes effect when the
 * code is used. An earlier request whose code has not been used is cancelled. If the new address already belongs to an
 * account, behaves the same way, and the owner of that account receives an email that says so. Throws InvalidInput,
 * RateLimited, Forbidden if the server sends no mail, and InvalidCredentials if there is no proof that the asker is the
 * user (proof.ts).
 */
export async function changeEmail(
  accounts: Accounts,
  asker: Asker,
  input: { email: string; currentPassword: string | null },
): Promise<void> {
  const mail = requireMail(accounts);
  const user = await requireOwnCredentials(accounts.db, asker);
  const proof = { user, secret: input.currentPassword };
  const errors: FieldError[] = [];
  const email = readEmail(input.email, errors);
  checkGivenProof(proof, ['currentPassword'], errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  await requireProof(accounts, asker, proof);
  await accounts.limits.take('ownMails', { userId: user.id });

  await inTransaction(accounts.db, async (transaction) => {
    await lockCredentials(transaction, user);
    await withdrawMails(transaction, user.id, ['EMAIL_CHANGE']);
    await queueMail(transaction, { kind: 'EMAIL_CHANGE', userId: user.id, email });
    if (user.email !== null) {
      await queueMail(transaction, { kind: 'EMAIL_CHANGE_NOTICE', userId: user.id, email: user.email });
    }
  });
  mail.ring();
}
