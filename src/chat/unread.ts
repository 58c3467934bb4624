import type { Db } from '../postgres/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { pairOne } from '../postgres/pairing.ts';
import { memberKeyOf, type MemberKey } from './member.ts';
import { visibleFrom } from './visibility.ts';
import { unreadMentions } from '../message/mention.ts';
import type { Asker } from '../core/asker.ts';
import { unnest } from '../postgres/unnest.ts';

/** The number at which the count of unread messages stops. */
const maxUnreadCount = 1_000;

/**
 * The messages of chat `c` that member `m` can see and has not read: messages that were sent by others, are not
 * deleted, and come after the read marker. This is an SQL fragment that begins with `from`, for a statement that joins
 * `c` and `m`. `offset 0` makes PostgreSQL compute the first visible seq once instead of once per message.
 */
const unread = `from (select ${visibleFrom('c', 'm.user_id')} as seq offset 0) first_visible
  join messages on messages.chat_id = m.chat_id
    and messages.seq > m.last_read_seq and messages.seq >= first_visible.seq
    and messages.sender_id is distinct from m.user_id and messages.deleted_at is null`;

/** An SQL expression for the number of unread messages, up to `maxUnreadCount`, as an int. */
export const unreadCount = `(select count(*)::int from (select ${unread} limit ${maxUnreadCount}) few)`;

/** Loads the number of unread messages of each membership, up to `maxUnreadCount`, or 0 if the user is not a member. */
export const unreadCountOf = defineLoader({
  load: countUnread,
  keyOf: memberKeyOf,
});

/**
 * Raw SQL at half the cost of Prisma, because this runs whenever a chat list is opened, and because the count must stop
 * at its limit.
 */
async function countUnread(db: Db, members: readonly MemberKey[]): Promise<number[]> {
  const { rows } = await db.pool.query<{ index: number; count: number }>({
    name: 'unread',
    text: `select wanted.index::int as index, ${unreadCount} as count
    from ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as wanted (chat_id, user_id, index)
    join members m using (chat_id, user_id)
    join chats c on c.id = m.chat_id`,
    values: [members.map(({ chatId }) => chatId), members.map(({ userId }) => userId)],
  });
  return pairOne(rows, members, { value: ({ count }) => count, missing: 0 });
}

/**
 * Counts the asker's chats that have at least one unread message that matters at the chat's notification level. Raw
 * SQL, at a third of the cost of Prisma, because this runs whenever a client starts.
 */
export async function countUnreadChats(db: Db, asker: Asker): Promise<number> {
  const { rows } = await db.pool.query<{ count: number }>({
    name: 'unread_chats',
    text: `select count(*)::int as count
    from members m join chats c on c.id = m.chat_id and c.last_seq > m.last_read_seq
    where m.user_id = $1 and case m.notification_level
      when 'ALL' then exists (select ${unread})
      when 'MENTIONS' then exists (select ${unreadMentions})
      else false end`,
    values: [asker.userId],
  });
  return rows[0]?.count ?? 0;
}
