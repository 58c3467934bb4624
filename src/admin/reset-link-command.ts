import { linkTo } from '../mail/delivery.ts';
import { createCode } from '../mail/mail-code.ts';
import { inTransaction } from '../postgres/client.ts';
import { findAccount, Misuse, readArguments, type Command } from './command.ts';
import { lockAccount } from './staff.ts';

/** Creates a link that resets a password, for a server that sends no mail or a user who receives none. */
export const resetLink: Command = {
  usage: 'reset-link EMAIL|USERNAME',
  meaning:
    'prints a link for setting a new password, which works once, within an hour; using it verifies the email address',
  run: async ({ db, appUrl }, args) => {
    const [name = ''] = readArguments(args, { texts: { min: 1, max: 1 } }).texts;
    const { id, username, email } = await findAccount(db, name);
    const hasPassword = (await db.prisma.credentials.count({ where: { userId: id } })) > 0;
    if (email === null || !hasPassword) throw new Misuse(`${username} has no password to reset.`);
    const kind = 'PASSWORD_RESET';
    const code = await inTransaction(db, async (transaction) => {
      await lockAccount(transaction, id);
      // Writes the audit entry here, because a trigger on the codes would also record the codes that users request.
      await transaction.query(`select write_audit_entry('CREATE_RESET_LINK', 'User', $1, '{}')`, [String(id)]);
      return createCode(transaction, { kind, email, userId: id, signUpId: null });
    });
    return appUrl === null
      ? `${code}\nAPP_URL is not set: pass this code to resetPassword.`
      : linkTo(appUrl, { kind }, code);
  },
};
