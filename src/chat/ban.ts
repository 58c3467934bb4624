import type { Asker } from '../core/asker.ts';
import { NotFound } from '../errors.ts';
import { imposeRestriction, readReason, refuseOwnId } from '../people/restriction.ts';
import type { Db } from '../postgres/client.ts';
import { columns } from '../postgres/columns.ts';
import type { Chat, Restriction } from '../postgres/generated/prisma/client.ts';
import { definePageLoader } from '../postgres/loader.ts';
import { toPages, type Page, type PageRequest } from '../postgres/page.ts';
import { isCurrent } from '../postgres/restriction.ts';
import { lockPeople } from './chat.ts';
import { readChatAccesses } from './chat-access.ts';
import { inChat, requireMay } from './locked-chat.ts';
import { requireMayTo } from './membership.ts';
import { may } from './permission.ts';
import { unnest } from '../postgres/unnest.ts';

/**
 * A user to ban, the time when the ban ends (null: until someone lifts it), and the reason, which the user can read.
 */
export type NewBan = { chatId: bigint; userId: bigint; until: Date | null; reason: string | null };

/**
 * Bans a user from a chat, even if the user is not a member. The new ban replaces an existing ban. Their membership
 * ends (all members receive RemoveFromChat). If the chat is a public channel, their streams of it end too, at the ban's
 * position in the log. Until the ban ends, they can neither read the chat nor become a member. Throws Forbidden if the
 * asker's role or the member's role does not allow the ban, and for a single chat; NotFound for a hidden chat or an
 * unknown user; InvalidInput for the asker's own id, a time that is not in the future, or a bad reason.
 */
export async function banMember(db: Db, asker: Asker, { chatId, userId, until, reason }: NewBan): Promise<Restriction> {
  refuseOwnId(asker, userId);
  const ban = { chatId, userId, kind: 'BAN', until, reason: readReason(reason) } as const;
  return inChat(db, { asker, chatId }, async (transaction, locked) => {
    await requireMayTo(transaction, locked, { action: 'banMember', userId });
    if (!(await lockPeople(transaction, [userId])).has(userId)) throw new NotFound('There is no such user.');
    return imposeRestriction(transaction, asker, ban);
  });
}

/**
 * Lifts a ban. Nothing changes if the user is not banned. The user does not become a member again. Requires the right
 * to ban plain members; throws Forbidden for anyone else who can see the chat.
 */
export async function unbanMember(
  db: Db,
  asker: Asker,
  { chatId, userId }: { chatId: bigint; userId: bigint },
): Promise<Chat> {
  return inChat(db, { asker, chatId }, async ({ prisma }, locked) => {
    requireMay('banMember', locked, 'MEMBER');
    await prisma.restriction.deleteMany({ where: { chatId, userId, kind: 'BAN' } });
    return locked.chat;
  });
}

/** Loads a page of each chat's current bans, newest first. The caller must check that the asker may ban. */
export const bansIn = definePageLoader({ load: listBans });

/** Raw SQL: Prisma can neither limit the rows per chat nor use the database's clock. */
async function listBans(db: Db, chatIds: readonly bigint[], page: PageRequest): Promise<Page<Restriction>[]> {
  const { rows } = await db.pool.query<Restriction & { index: number }>(
    `select chat.index::int as index, ${columns.restriction('r')}
    from ${unnest('$1::bigint[]')} with ordinality as chat (id, index)
    cross join lateral (
      select r.* from restrictions r
      where r.chat_id = chat.id and r.kind = 'BAN' and r.id < $2::bigint and r.id > $3::bigint and ${isCurrent('r')}
      order by r.id ${page.isBackward ? 'asc' : 'desc'} limit $4
    ) r
    order by chat.index, r.id ${page.isBackward ? 'asc' : 'desc'}`,
    [chatIds, page.after?.[0] ?? 2n ** 62n, page.before?.[0] ?? -1n, page.limit + 1],
  );
  return toPages(rows, chatIds, page);
}

/**
 * Returns the bans with these ids that the asker may see, which are the bans in chats where the asker may ban, in no
 * particular order.
 */
export async function findBans(db: Db, asker: Asker, banIds: readonly bigint[]): Promise<Restriction[]> {
  const { rows } = await db.pool.query<Restriction & { chatId: bigint }>(
    `select ${columns.restriction('r')} from restrictions r
    where r.id = any ($1) and r.kind = 'BAN' and ${isCurrent('r')}`,
    [banIds],
  );
  const accesses = await readChatAccesses(
    db.pool,
    rows.map(({ chatId }) => ({ asker, chatId })),
  );
  return rows.filter((_, index) => {
    const access = accesses[index];
    return access !== undefined && may(asker, 'banMember', { ...access, targetRole: 'MEMBER' });
  });
}
