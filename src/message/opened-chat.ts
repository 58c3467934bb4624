import { isVisiblePerson, visibleFrom, type ChatReader } from '../chat/visibility.ts';
import { userById } from '../people/user.ts';
import type { Db } from '../postgres/client.ts';
import { columns, joined } from '../postgres/columns.ts';
import type { Chat, Message } from '../postgres/generated/prisma/client.ts';
import type { Loaders } from '../postgres/loader.ts';
import { toPage, type PageRequest } from '../postgres/page.ts';
import { messagesIn } from './history.ts';

const chat = joined.chat('c');
const sender = joined.user('s');

/** The columns of a message are null in the only row of a page without messages. */
type OpenedRow = (Message & { isFirst: boolean }) | { [Key in keyof Message | 'isFirst']: null };

/**
 * The chat that a client opens, or null if the asker cannot see it. The same statement reads a page of the messages that
 * the asker can see, with their senders, and gives them to the loaders, which saves two statements.
 */
export async function openChat(
  { db, loaders }: { db: Db; loaders: Loaders },
  reader: ChatReader,
  page: PageRequest,
): Promise<Chat | null> {
  const direction = page.isBackward ? 'desc' : 'asc';
  const { rows } = await db.pool.query<OpenedRow>({
    name: `opened_chat_${direction}`,
    text: `select m.*, ${sender.columns}, ${chat.columnsWhen('coalesce(m.place, 1) = 1')}
    from chats c
    cross join lateral (select ${visibleFrom('c', '$2')} as seq offset 0) first_visible
    left join lateral (
      select ${columns.message('m')}, row_number() over (order by m.seq ${direction}) as place,
        row_number() over (partition by m.sender_id order by m.seq ${direction}) = 1 as "isFirst"
      from (
        select m.* from messages m
        where m.chat_id = c.id and m.seq >= first_visible.seq and m.seq > $3::bigint and m.seq < $4::bigint
        order by m.seq ${direction} limit $5
      ) m
    ) m on true
    left join users s on m."isFirst" and s.id = m."senderId" and ${isVisiblePerson('s')}
    where c.id = $1 and first_visible.seq is not null
    order by m.seq ${direction}`,
    values: [reader.chatId, reader.asker.userId, page.after?.[0] ?? -1n, page.before?.[0] ?? 2n ** 62n, page.limit + 1],
  });
  const [first] = rows;
  if (first === undefined) return null;
  const messages = rows.filter((row) => row.id !== null);
  for (const row of messages) {
    if (row.isFirst && row.senderId !== null) loaders.of(userById).prime(row.senderId, sender.take(row));
  }
  loaders.ofPage(messagesIn, page).prime(reader, toPage<Message>(messages, page));
  return chat.take(first);
}
