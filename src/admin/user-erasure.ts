import { beginErasure } from '../account/account-deletion.ts';
import type { LiveSessions } from '../account/live-session.ts';
import type { Caller } from '../core/asker.ts';
import { Forbidden } from '../errors.ts';
import { inTransaction, type Db } from '../postgres/client.ts';
import type { ErasedMessages } from '../postgres/generated/prisma/client.ts';
import { lockTarget } from './staff.ts';

/**
 * Erases a user's account, as `deleteAccount` does for the caller's own account. Call `continueDeletions` next. For
 * admins. Throws Forbidden (also for the asker's own account) and NotFound.
 */
export async function eraseUser(
  { db, sessions }: { db: Db; sessions: LiveSessions },
  caller: Caller,
  { userId, messages }: { userId: bigint; messages: ErasedMessages },
): Promise<void> {
  const endedIds = await inTransaction(
    db,
    async (transaction) => {
      await lockTarget(transaction, caller, { action: 'eraseUser', userId });
      if (userId === caller.userId) throw new Forbidden('To erase your own account, use deleteAccount.');
      return beginErasure(transaction, userId, messages);
    },
    caller,
  );
  for (const id of endedIds) sessions.forget(id);
}
