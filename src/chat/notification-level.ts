import type { Db } from '../postgres/client.ts';
import type { Member, NotificationLevel } from '../postgres/generated/prisma/client.ts';
import { NotFound } from '../errors.ts';
import type { Asker } from '../core/asker.ts';

/**
 * Sets which of the unread messages make the chat count as unread for the asker. The asker's devices receive
 * NotificationLevelChanged. Throws NotFound if the asker is not a member.
 */
export async function setNotificationLevel(
  db: Db,
  asker: Asker,
  { chatId, level }: { chatId: bigint; level: NotificationLevel },
): Promise<Member> {
  const [member] = await db.prisma.member.updateManyAndReturn({
    where: { chatId, userId: asker.userId },
    data: { notificationLevel: level },
  });
  if (member === undefined) throw new NotFound('You are not a member of that chat.');
  return member;
}
