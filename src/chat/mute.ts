import type { Asker } from '../core/asker.ts';
import { imposeRestriction, refuseOwnId } from '../people/restriction.ts';
import type { Db } from '../postgres/client.ts';
import type { Member } from '../postgres/generated/prisma/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { pairOne } from '../postgres/pairing.ts';
import { mutedUntil } from '../postgres/restriction.ts';
import { inChat } from './locked-chat.ts';
import { memberKeyOf, type MemberKey } from './member.ts';
import { requireTarget } from './membership.ts';
import { unnest } from '../postgres/unnest.ts';

/**
 * Mutes a member until the given time, replacing any earlier mute. If `until` is null, ends the mute. All members
 * receive MemberUpdated. A muted member of any role can read and leave. Such a member cannot send, edit, react, pin or
 * show that they are typing, and can neither change nor moderate the chat. A mute stays in force if the member leaves
 * and comes back. Throws NotFound if the user is not a member; Forbidden if the asker's role or the member's role does
 * not allow it; InvalidInput for the asker's own id and for a time that is not in the future.
 */
export async function muteMember(
  db: Db,
  asker: Asker,
  { chatId, userId, until }: { chatId: bigint; userId: bigint; until: Date | null },
): Promise<Member> {
  refuseOwnId(asker, userId);
  return inChat(db, { asker, chatId }, async (transaction, locked) => {
    await requireTarget(transaction, locked, { action: 'muteMember', userId });
    const { prisma } = transaction;
    if (until === null) await prisma.restriction.deleteMany({ where: { chatId, userId, kind: 'MUTE' } });
    else await imposeRestriction(transaction, asker, { chatId, userId, kind: 'MUTE', until, reason: null });
    return prisma.member.findUniqueOrThrow({ where: { chatId_userId: { chatId, userId } } });
  });
}

/** Loads the time when each member's mute ends, or null if they are not muted. */
export const mutedUntilOf = defineLoader({ load: readMutes, keyOf: memberKeyOf });

/**
 * Raw SQL, because events select this value for many members at once, and because it is compared with the database's
 * clock.
 */
async function readMutes({ pool }: Db, members: readonly MemberKey[]): Promise<(Date | null)[]> {
  const { rows } = await pool.query<{ index: number; until: Date | null }>({
    name: 'mutes',
    text: `select w.index::int as index, ${mutedUntil('w.chat_id', 'w.user_id')} as until
    from ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as w (chat_id, user_id, index)`,
    values: [members.map(({ chatId }) => chatId), members.map(({ userId }) => userId)],
  });
  return pairOne(rows, members, { value: ({ until }) => until, missing: null });
}
