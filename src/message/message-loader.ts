import { chatById } from '../chat/chat.ts';
import { idKey, type IdKey } from '../core/id-key.ts';
import { userById } from '../people/user.ts';
import type { Db } from '../postgres/client.ts';
import { isVisiblePerson } from '../chat/visibility.ts';
import { columns, nested } from '../postgres/columns.ts';
import type { Chat, Message, User } from '../postgres/generated/prisma/client.ts';
import { defineLoader, type Loaders } from '../postgres/loader.ts';
import { pairOne } from '../postgres/pairing.ts';
import { unnest } from '../postgres/unnest.ts';

/** A message with its sender (null if the sender is erased or the message is a system message) and its chat. */
export type MessageRow = { message: Message; sender: User | null; chat: Chat };

/**
 * Messages by id. The same statement also reads the senders and chats, which nearly every subscription selects;
 * otherwise each event would need three statements.
 */
export const messageById = defineLoader({
  load: async (db, ids: readonly bigint[], prime) => {
    const found = await readMessages(db, ids);
    return ids.map((id, index) => {
      const row = found.get(idKey(id));
      if (row === undefined) return null;
      const { message, sender, chat } = row;
      if (message.senderId !== null) prime(index, userById, { key: message.senderId, value: sender });
      prime(index, chatById, { key: chat.id, value: chat });
      return message;
    });
  },
});

/** Gives the loaders a message that has already been read, together with its sender and its chat. */
export function primeMessage(loaders: Loaders, row: MessageRow): void {
  const { message, sender, chat } = row;
  loaders.of(messageById).prime(message.id, message);
  if (message.senderId !== null) loaders.of(userById).prime(message.senderId, sender);
  loaders.of(chatById).prime(chat.id, chat);
}

/** The chat and the seq that identify a message. */
export type MessageKey = { chatId: bigint; seq: number };

/** Returns a message's chat and seq as a string, for caches and maps. */
export function messageKeyOf({ chatId, seq }: MessageKey): string {
  return `${chatId} ${seq}`;
}

/** Loads messages by chat and seq. */
export const messageByKey = defineLoader({ load: loadMessagesByKey, keyOf: messageKeyOf });

/**
 * Raw SQL, which costs half as much as Prisma. It runs for events and for replies on pages, and reads many messages in
 * one statement.
 */
async function loadMessagesByKey({ pool }: Db, keys: readonly MessageKey[]): Promise<(Message | null)[]> {
  const { rows } = await pool.query<Message & { index: number }>({
    name: 'messages_by_key',
    text: `select wanted.index::int as index, ${columns.message('m')}
    from ${unnest('$1::bigint[]', '$2::int[]')} with ordinality as wanted (chat_id, seq, index)
    join messages m using (chat_id, seq)`,
    values: [keys.map(({ chatId }) => chatId), keys.map(({ seq }) => seq)],
  });
  return pairOne(rows, keys, { value: (row): Message => row, missing: null });
}

const sender = nested.user('s');
const chat = nested.chat('c');

type CompanyRow = Message & { sender: unknown; chat: unknown };

/**
 * Returns messages by id; messages that do not exist are missing from the map. Raw SQL, which costs a third as much as
 * Prisma, because this runs whenever events are rendered. The same statement also reads the senders and chats. It
 * returns each of them only once, with the first of their messages, because a replay reads hundreds of messages from
 * the same few senders.
 */
export async function readMessages({ pool }: Db, ids: readonly bigint[]): Promise<Map<IdKey, MessageRow>> {
  const { rows } = await pool.query<CompanyRow>({
    name: 'messages_by_id',
    text: `select ${columns.message('m')}, ${sender.columnWhen('s.id is not null')} as sender,
      ${chat.columnWhen('c.id is not null')} as chat
    from (
      select m.*, row_number() over (partition by m.sender_id) as of_sender,
        row_number() over (partition by m.chat_id) as of_chat
      from messages m where m.id = any ($1)
    ) m
    left join users s on m.of_sender = 1 and s.id = m.sender_id and ${isVisiblePerson('s')}
    left join chats c on m.of_chat = 1 and c.id = m.chat_id`,
    values: [ids],
  });
  const senders = byKey(rows, ({ sender: column }) => sender.take(column));
  const chats = byKey(rows, ({ chat: column }) => chat.take(column));
  const found = new Map<IdKey, MessageRow>();
  for (const message of rows) {
    const { id, senderId, chatId } = message;
    const own = chats.get(idKey(chatId));
    if (own === undefined) continue;
    found.set(idKey(id), {
      message,
      sender: senderId === null ? null : (senders.get(idKey(senderId)) ?? null),
      chat: own,
    });
  }
  return found;
}

function byKey<Row extends { id: bigint }>(
  rows: readonly CompanyRow[],
  take: (row: CompanyRow) => Row | null,
): Map<IdKey, Row> {
  const found = new Map<IdKey, Row>();
  for (const row of rows) {
    const each = take(row);
    if (each !== null) found.set(idKey(each.id), each);
  }
  return found;
}
