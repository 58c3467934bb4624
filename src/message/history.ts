import { askerKey } from '../core/asker.ts';
import type { Db } from '../postgres/client.ts';
import type { Member, Message } from '../postgres/generated/prisma/client.ts';
import { memberUser, primeUsers } from '../chat/member.ts';
import { columns, nested } from '../postgres/columns.ts';
import { definePageLoader, type Prime } from '../postgres/loader.ts';
import { chatReaderKey, isVisiblePerson, visibleFrom, type ChatReader } from '../chat/visibility.ts';
import { userById } from '../people/user.ts';
import { pageBounds, toPages, type Page, type PageRequest } from '../postgres/page.ts';
import { unnest } from '../postgres/unnest.ts';

/** A chat, the asker who reads it, and a position in the chat. */
export type SeqReader = ChatReader & { seq: number };

/**
 * For each chat, loads a page of the messages that the asker can see; the page is empty if the asker cannot see the
 * chat.
 */
export const messagesIn = definePageLoader({ load: listMessages, keyOf: chatReaderKey });

/**
 * Loads a page of the members who have read a chat up to a position; the page is empty if the asker cannot see that
 * position.
 */
export const readersOf = definePageLoader({
  load: listReaders,
  keyOf: ({ chatId, asker, seq }: SeqReader) => `${chatId} ${askerKey(asker)} ${seq}`,
});

// One statement reads each of these lists for many chats, and takes the page of each chat from the index. Raw
// SQL: Prisma has no limit per chat, and needs 4 times as long to read 50 messages with their senders.

const sender = nested.user('s');

/**
 * Returns a page of messages for each reader; the key of a cursor is the seq. The same statement also reads the
 * senders, which nearly every page shows; each sender is read once per page, with the first of their messages.
 */
export async function listMessages(
  db: Db,
  readers: readonly ChatReader[],
  page: PageRequest,
  prime: Prime,
): Promise<Page<Message>[]> {
  const direction = page.isBackward ? 'desc' : 'asc';
  const { rows } = await db.pool.query<Message & { index: number; isFirst: true | null; sender: unknown }>({
    name: `messages_${direction}`,
    text: `select m.*, ${sender.columnWhen('s.id is not null')} as sender
    from (
      select reader.index::int as index, ${columns.message('m')},
        nullif(row_number() over (partition by reader.index, m.sender_id order by m.seq ${direction}) = 1, false) as "isFirst"
      from ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as reader (chat_id, user_id, index)
      join chats c on c.id = reader.chat_id
      cross join lateral (select ${visibleFrom('c', 'reader.user_id')} as seq offset 0) first_visible
      cross join lateral (
        select m.* from messages m
        where m.chat_id = c.id and m.seq >= first_visible.seq and m.seq > $3::bigint and m.seq < $4::bigint
        order by m.seq ${direction} limit $5
      ) m
    ) m
    left join users s on m."isFirst" and s.id = m."senderId" and ${isVisiblePerson('s')}
    order by m.index, m.seq ${direction}`,
    values: [readers.map(({ chatId }) => chatId), readers.map(({ asker }) => asker.userId), ...pageBounds(page)],
  });
  for (const { index, isFirst, senderId, sender: found } of rows) {
    if (isFirst && senderId !== null) prime(index - 1, userById, { key: senderId, value: sender.take(found) });
  }
  return toPages(rows, readers, page);
}

/**
 * For each message, returns a page of the members who have read it, including its sender: those who can see the message
 * and whose marker has reached it, except those who have blocked the asker. The key of a cursor is the user's id. The
 * page is empty if the asker cannot see the message. The caller checks that the chat shows read receipts.
 */
async function listReaders(
  db: Db,
  readers: readonly SeqReader[],
  page: PageRequest,
  prime: Prime,
): Promise<Page<Member>[]> {
  const direction = page.isBackward ? 'desc' : 'asc';
  // There is no index on the marker, because every message moves a marker, and an index would rule out in-place (HOT)
  // updates of the member's row.
  const { rows } = await db.pool.query<Member & { index: number; user: unknown }>({
    name: `readers_${direction}`,
    text: `select reader.index::int as index, ${columns.member('m')}, ${memberUser}
    from ${unnest('$1::bigint[]', '$2::int[]', '$3::bigint[]')} with ordinality as reader (chat_id, seq, user_id, index)
    join chats c on c.id = reader.chat_id and reader.seq >= ${visibleFrom('c', 'reader.user_id')}
    cross join lateral (
      select m.* from members m
      where m.chat_id = c.id and m.last_read_seq >= reader.seq and m.visible_from_seq <= reader.seq
        and m.user_id > $4::bigint and m.user_id < $5::bigint
        and not exists (select from blocks where blocker_id = m.user_id and blocked_id = reader.user_id)
      order by m.user_id ${direction} limit $6
    ) m
    join users u on u.id = m.user_id
    order by reader.index, m.user_id ${direction}`,
    values: [
      readers.map(({ chatId }) => chatId),
      readers.map(({ seq }) => seq),
      readers.map(({ asker }) => asker.userId),
      ...pageBounds(page),
    ],
  });
  primeUsers(rows, prime);
  return toPages(rows, readers, page);
}
