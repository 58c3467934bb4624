import { askerKey, type Asker } from '../core/asker.ts';
import type { Db } from '../postgres/client.ts';
import type { Prisma } from '../postgres/generated/prisma/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { pairOne } from '../postgres/pairing.ts';
import { isRestricted } from '../postgres/restriction.ts';
import { unnest } from '../postgres/unnest.ts';

/**
 * The single rule for who sees what, as SQL: the first seq of chat `chat` (an alias of chats) that the user `person`
 * can see, or null if they cannot see the chat. Everyone can read all of a public channel, except users who are banned
 * from it; only members can read other chats, from their membership's `visible_from_seq` on. A message is visible if
 * its seq is not below the first visible seq.
 *
 * For chats that are not public, bans need not be checked: the database keeps banned users from being members.
 */
export function visibleFrom(chat: string, person: string): string {
  return `case when ${chat}.type = 'PUBLIC_CHANNEL'
    then case when ${isRestricted('BAN', `${chat}.id`, person)} then null else 1 end
    else (
      select viewer.visible_from_seq from members viewer
      where viewer.chat_id = ${chat}.id and viewer.user_id = ${person}) end`;
}

/** The chats that the asker can see by that rule, for Prisma. */
export function visibleChats({ userId }: Asker): Prisma.ChatWhereInput {
  return { OR: [{ type: 'PUBLIC_CHANNEL', currentBans: { none: { userId } } }, { members: { some: { userId } } }] };
}

/** The memberships that the asker can see: those of the chats that they can see. For Prisma. */
export function visibleMembers(asker: Asker): Prisma.MemberWhereInput {
  return { chat: visibleChats(asker) };
}

/**
 * Whether signed-in users can see `person` (an alias of users): until the account's erasure begins. An SQL condition.
 */
export function isVisiblePerson(person: string): string {
  return `${person}.deleted_at is null`;
}

/** The same, for Prisma. */
export const visiblePeople: Prisma.UserWhereInput = { deletedAt: null };

/**
 * The ids of all chats that a user can see by that rule, and of public channels that they are banned from, found by
 * index instead of by applying the rule to every chat. Use it to narrow down a search, never instead of the rule.
 */
export function visibleChatIds(person: string): string {
  return `select chat_id from members where user_id = ${person}
    union select id from chats where type = 'PUBLIC_CHANNEL'`;
}

/** A chat, and the asker who reads it. */
export type ChatReader = { chatId: bigint; asker: Asker };

/** A chat and an asker as a string, for a loader's cache. */
export function chatReaderKey({ chatId, asker }: ChatReader): string {
  return `${chatId} ${askerKey(asker)}`;
}

/** The first seq that the asker can see in a chat; null if they cannot see the chat. */
export const visibleFromOf = defineLoader({
  load: readVisibleFrom,
  keyOf: chatReaderKey,
});

/** The seq below which a chat's history is hidden from at least one member; 1 if nothing is hidden from anyone. */
export const hiddenBelowOf = defineLoader({ load: readHiddenBelow });

/** Raw SQL, at half Prisma's cost: events and pages of messages run this, for many readers in one statement. */
async function readVisibleFrom({ pool }: Db, readers: readonly ChatReader[]): Promise<(number | null)[]> {
  const { rows } = await pool.query<{ index: number; seq: number | null }>({
    name: 'visible_from',
    text: `select reader.index::int as index, ${visibleFrom('c', 'reader.user_id')} as seq
    from ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as reader (chat_id, user_id, index)
    join chats c on c.id = reader.chat_id`,
    values: [readers.map(({ chatId }) => chatId), readers.map(({ asker }) => asker.userId)],
  });
  return pairOne(rows, readers, { value: ({ seq }) => seq, missing: null });
}

/** Raw SQL, at half Prisma's cost: this runs when events are rendered, for many chats in one statement. */
async function readHiddenBelow({ pool }: Db, chatIds: readonly bigint[]): Promise<number[]> {
  const { rows } = await pool.query<{ id: bigint; seq: number | null }>({
    name: 'hidden_below',
    text: `select c.id, case when c.type = 'PUBLIC_CHANNEL' then 1 else (
      select max(m.visible_from_seq) from members m where m.chat_id = c.id and m.visible_from_seq > 1) end as seq
    from chats c where c.id = any ($1)`,
    values: [chatIds],
  });
  const found = new Map(rows.map(({ id, seq }) => [id, seq]));
  return chatIds.map((chatId) => found.get(chatId) ?? 1);
}
