import { setTimeout } from 'node:timers/promises';
import { beginErasure, continueDeletions } from '../account/account-deletion.ts';
import { inTransaction, type Db } from '../postgres/client.ts';
import { ErasedMessages } from '../postgres/generated/prisma/enums.ts';
import { findAccount, Misuse, readArguments, type Command } from './command.ts';
import { lockAccount } from './staff.ts';

/** How many rows one transaction of the erasure removes. */
const batchSize = 1_000;
/** The pause between attempts while a server is working on the erasure, in ms. */
const pauseMs = 100;

/** Erases an account. */
export const erase: Command = {
  usage: 'erase EMAIL|USERNAME --messages keep|delete',
  meaning: 'erases an account for good; its messages stay without a sender, or are deleted',
  run: async ({ db }, args) => {
    const { texts, options } = readArguments(args, { texts: { min: 1, max: 1 }, options: ['messages'] });
    const messages = Object.values(ErasedMessages).find((each) => each === options.messages?.toUpperCase());
    if (messages === undefined) throw new Misuse('--messages must be keep or delete.');
    const { id, username } = await findAccount(db, texts[0] ?? '');
    await inTransaction(db, async (transaction) => {
      await lockAccount(transaction, id);
      await beginErasure(transaction, id, messages);
    });
    await finish(db, id);
    return `${username} is erased.`;
  },
};

/** Works on the erasure until it is complete. A running server may do part of the work. */
async function finish(db: Db, userId: bigint): Promise<void> {
  while ((await db.prisma.accountDeletion.count({ where: { userId } })) > 0) {
    if ((await continueDeletions({ db }, batchSize)) === 0) await setTimeout(pauseMs);
  }
}
