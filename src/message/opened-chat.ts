import { chatReaderKey, isVisiblePerson, visibleFrom, type ChatReader } from '../chat/visibility.ts';
import { userById } from '../people/user.ts';
import type { Db } from '../postgres/client.ts';
import { columns, nested } from '../postgres/columns.ts';
import type { Chat, Message } from '../postgres/generated/prisma/client.ts';
import { definePageLoader, type Loaders, type Prime } from '../postgres/loader.ts';
import { pageBounds, toPage, type Page, type PageRequest } from '../postgres/page.ts';
import { messagesIn } from './history.ts';
import { unnest } from '../postgres/unnest.ts';

const chat = nested.chat('c');
const sender = nested.user('s');

/** On a page without messages, the only row has null in the message columns. */
type OpenedRow = { index: number; isFirst: true | null; chat: unknown; sender: unknown } & (
  | Message
  | { [Key in keyof Message]: null }
);

/** A chat, and a page of its messages that the asker can see. */
type OpenedChat = { chat: Chat; messages: Page<Message> };

/** Loads the chats that clients open, or null for a chat that the asker cannot see. */
const openedChatIn = definePageLoader({ load: openChats, keyOf: chatReaderKey });

/**
 * Returns the chat that a client opens, or null if the asker cannot see it. The same statement also reads a page of the
 * messages that the asker can see, with their senders, and gives them to the loaders, which saves two statements.
 */
export async function openChat(loaders: Loaders, reader: ChatReader, page: PageRequest): Promise<Chat | null> {
  const opened = await loaders.ofPage(openedChatIn, page).load(reader);
  if (opened === null) return null;
  loaders.ofPage(messagesIn, page).prime(reader, opened.messages);
  return opened.chat;
}

async function openChats(
  { pool }: Db,
  readers: readonly ChatReader[],
  page: PageRequest,
  prime: Prime,
): Promise<(OpenedChat | null)[]> {
  const direction = page.isBackward ? 'desc' : 'asc';
  const { rows } = await pool.query<OpenedRow>({
    name: `opened_chat_${direction}`,
    text: `select reader.index::int as index, ${columns.message('m')}, m.is_first as "isFirst",
      ${chat.columnWhen('coalesce(m.place, 1) = 1')} as chat, ${sender.columnWhen('s.id is not null')} as sender
    from ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as reader (chat_id, user_id, index)
    join chats c on c.id = reader.chat_id
    cross join lateral (select ${visibleFrom('c', 'reader.user_id')} as seq offset 0) first_visible
    left join lateral (
      select m.*, row_number() over (order by m.seq ${direction}) as place,
        nullif(row_number() over (partition by m.sender_id order by m.seq ${direction}) = 1, false) as is_first
      from (
        select m.* from messages m
        where m.chat_id = c.id and m.seq >= first_visible.seq and m.seq > $3::bigint and m.seq < $4::bigint
        order by m.seq ${direction} limit $5
      ) m
    ) m on true
    left join users s on m.is_first and s.id = m.sender_id and ${isVisiblePerson('s')}
    where first_visible.seq is not null
    order by reader.index, m.seq ${direction}`,
    values: [readers.map(({ chatId }) => chatId), readers.map(({ asker }) => asker.userId), ...pageBounds(page)],
  });
  const opened: ({ chat: Chat; messages: Message[] } | null)[] = readers.map(() => null);
  for (const row of rows) {
    const index = row.index - 1;
    const found = chat.take(row.chat);
    if (found !== null) opened[index] = { chat: found, messages: [] };
    if (row.id === null) continue;
    opened[index]?.messages.push(row);
    if (row.isFirst && row.senderId !== null) {
      prime(index, userById, { key: row.senderId, value: sender.take(row.sender) });
    }
  }
  return opened.map((each) => each && { chat: each.chat, messages: toPage(each.messages, page) });
}
