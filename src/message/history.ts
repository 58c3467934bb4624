import { askerKey } from '../core/asker.ts';
import type { Db } from '../postgres/client.ts';
import type { Member, Message } from '../postgres/generated/prisma/client.ts';
import { columns } from '../postgres/columns.ts';
import { definePageLoader } from '../postgres/loader.ts';
import { chatReaderKey, visibleFrom, type ChatReader } from '../chat/visibility.ts';
import { toPages, type Page, type PageRequest } from '../postgres/page.ts';

/** A place in a chat, and on whose behalf it is read. */
export type SeqReader = ChatReader & { seq: number };

/** A page of each chat's messages, as far as the asker sees them. */
export const messagesIn = definePageLoader({ load: listMessages, keyOf: chatReaderKey });

/** A page of those who have read up to a place, as far as the asker sees it. */
export const readersOf = definePageLoader({
  load: listReaders,
  keyOf: ({ chatId, asker, seq }: SeqReader) => `${chatId} ${askerKey(asker)} ${seq}`,
});

// Each list is read for many chats at once: one statement, in which every chat gives its own page by index. As SQL: Prisma
// has no limit per chat, and 50 messages with their senders cost it 4 times as much.

/** Of each chat the page of messages that the person sees; empty for one who doesn't see the chat. Key: seq. */
export async function listMessages(
  db: Db,
  readers: readonly ChatReader[],
  page: PageRequest,
): Promise<Page<Message>[]> {
  const direction = page.isBackward ? 'desc' : 'asc';
  const { rows } = await db.pool.query<Message & { index: number }>({
    name: `messages_${direction}`,
    text: `select reader.index::int as index, ${columns.message('m')}
    from unnest($1::bigint[], $2::bigint[]) with ordinality as reader (chat_id, user_id, index)
    join chats c on c.id = reader.chat_id
    cross join lateral (select ${visibleFrom('c', 'reader.user_id')} as seq offset 0) first_visible
    cross join lateral (
      select m.* from messages m
      where m.chat_id = c.id and m.seq >= first_visible.seq and m.seq > $3::bigint and m.seq < $4::bigint
      order by m.seq ${direction} limit $5
    ) m
    order by reader.index, m.seq ${direction}`,
    values: [
      readers.map(({ chatId }) => chatId),
      readers.map(({ asker }) => asker.userId),
      page.after?.[0] ?? -1n,
      page.before?.[0] ?? 2n ** 62n,
      page.limit + 1,
    ],
  });
  return toPages(rows, readers, page);
}

/**
 * Of each message a page of those who have read it: members who see it and whose marker is not before it, its sender
 * among them; without those who have blocked the asker. Key: the person's id. To an asker who does not see the message,
 * no one has read it. Whether the chat shows receipts is checked before.
 */
async function listReaders(db: Db, places: readonly SeqReader[], page: PageRequest): Promise<Page<Member>[]> {
  const direction = page.isBackward ? 'desc' : 'asc';
  // No index by marker: every message moves one, and then the member's row could not be updated in place.
  const { rows } = await db.pool.query<Member & { index: number }>({
    name: `readers_${direction}`,
    text: `select place.index::int as index, ${columns.member('m')}
    from unnest($1::bigint[], $2::int[], $3::bigint[]) with ordinality as place (chat_id, seq, user_id, index)
    join chats c on c.id = place.chat_id and place.seq >= ${visibleFrom('c', 'place.user_id')}
    cross join lateral (
      select m.* from members m
      where m.chat_id = c.id and m.last_read_seq >= place.seq and m.visible_from_seq <= place.seq
        and m.user_id > $4::bigint and m.user_id < $5::bigint
        and not exists (select from blocks where blocker_id = m.user_id and blocked_id = place.user_id)
      order by m.user_id ${direction} limit $6
    ) m
    order by place.index, m.user_id ${direction}`,
    values: [
      places.map(({ chatId }) => chatId),
      places.map(({ seq }) => seq),
      places.map(({ asker }) => asker.userId),
      page.after?.[0] ?? -1n,
      page.before?.[0] ?? 2n ** 62n,
      page.limit + 1,
    ],
  });
  return toPages(rows, places, page);
}
