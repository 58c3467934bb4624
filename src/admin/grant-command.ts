import { inTransaction } from '../postgres/client.ts';
import { ServerRole } from '../postgres/generated/prisma/enums.ts';
import { findAccount, Misuse, readArguments, type Command } from './command.ts';
import { grantServerRole } from './server-role.ts';

/** Gives an account a role on the server. This is the only way to create the first admin. */
export const grant: Command = {
  usage: `grant EMAIL|USERNAME [${Object.values(ServerRole).join('|')}]`,
  meaning: 'gives an account a role on the server; ADMIN if you name none',
  run: async ({ db }, args) => {
    const [name = '', wanted = ServerRole.ADMIN] = readArguments(args, { texts: { min: 1, max: 2 } }).texts;
    const role = Object.values(ServerRole).find((each) => each === wanted.toUpperCase());
    if (role === undefined) throw new Misuse(`There is no role ${wanted}.`);
    const { id, username } = await findAccount(db, name);
    await inTransaction(db, (transaction) => grantServerRole(transaction, { userId: id, role }));
    return `${username} is now ${role}.`;
  },
};
