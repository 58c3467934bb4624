import { sessionLifetimeMs, type LiveSessions } from '../account/live-session.ts';
import type { Caller } from '../core/asker.ts';
import { NotFound } from '../errors.ts';
import { inTransaction, type Db } from '../postgres/client.ts';
import type { Session } from '../postgres/generated/prisma/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { lockStaff } from './staff.ts';

/**
 * Loads the sessions of each user on their devices, by the user's id, most recently used first. The caller must have
 * checked that these sessions may be shown.
 */
export const sessionsOf = defineLoader({
  load: async ({ prisma }: Db, userIds: readonly bigint[]): Promise<Session[][]> => {
    const sessions = await prisma.session.findMany({
      where: {
        userId: { in: [...userIds] },
        apiKeyId: null,
        webhookId: null,
        lastUsedAt: { gt: new Date(Date.now() - sessionLifetimeMs) },
      },
      orderBy: [{ lastUsedAt: 'desc' }, { id: 'desc' }],
    });
    const byUser = Map.groupBy(sessions, ({ userId }) => userId);
    return userIds.map((userId) => byUser.get(userId) ?? []);
  },
});

/**
 * Ends a session of any user together with its streams, and returns the session. For admins. Throws Forbidden, and
 * NotFound if the session has ended.
 */
export async function endSession(
  { db, sessions }: { db: Db; sessions: LiveSessions },
  caller: Caller,
  sessionId: bigint,
): Promise<Session> {
  const ended = await inTransaction(
    db,
    async (transaction) => {
      await lockStaff(transaction, caller, 'endSession');
      // The sessions of API keys and webhooks are excluded, because they end with the key or the webhook.
      const where = { id: sessionId, apiKeyId: null, webhookId: null };
      const session = await transaction.prisma.session.findFirst({ where });
      // Of two concurrent requests, only one ends the session.
      const { count } = await transaction.prisma.session.deleteMany({ where });
      if (session === null || count === 0) throw new NotFound('There is no such session.');
      return session;
    },
    caller,
  );
  sessions.forget(sessionId);
  return ended;
}
