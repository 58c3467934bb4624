import { beginErasure } from '../account/account-deletion.ts';
import type { LiveSessions } from '../account/live-session.ts';
import type { Asker } from '../core/asker.ts';
import { Forbidden } from '../errors.ts';
import { inTransaction, type Db } from '../postgres/client.ts';
import type { ErasedMessages } from '../postgres/generated/prisma/client.ts';
import { lockTarget } from './staff.ts';

/**
 * Erases a user's account, as `deleteAccount` does for its own user. Call `continueDeletions` next. For admins. Throws
 * Forbidden, also for the asker's own account, and NotFound.
 */
export async function eraseUser(
  { db, sessions }: { db: Db; sessions: LiveSessions },
  asker: Asker,
  { userId, messages }: { userId: bigint; messages: ErasedMessages },
): Promise<void> {
  const endedIds = await inTransaction(
    db,
    async (transaction) => {
      await lockTarget(transaction, asker, { action: 'eraseUser', userId });
      if (userId === asker.userId) throw new Forbidden('To erase your own account, use deleteAccount.');
      return beginErasure(transaction, userId, messages);
    },
    asker,
  );
  for (const id of endedIds) sessions.forget(id);
}
