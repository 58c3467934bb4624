import { askerKey, type Asker } from '../core/asker.ts';
import type { Db } from '../postgres/client.ts';
import type { Prisma } from '../postgres/generated/prisma/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { pairOne } from '../postgres/pairing.ts';
import { isRestricted } from '../postgres/restriction.ts';
import { unnest } from '../postgres/unnest.ts';

/**
 * Returns, as SQL, the only rule that decides who sees what: the first seq of chat `chat` (an alias of chats) that the
 * user `person` can see, or null if they cannot see the chat. Everyone can read all of a public channel, except users
 * who are banned from it. Only members can read other chats, starting at the `visible_from_seq` of their membership. A
 * message is visible if its seq is greater than or equal to the first visible seq.
 *
 * For chats that are not public, there is no need to check bans, because the database prevents banned users from being
 * members.
 */
export function visibleFrom(chat: string, person: string): string {
  return `case when ${chat}.type = 'PUBLIC_CHANNEL'
    then case when ${isRestricted('BAN', `${chat}.id`, person)} then null else 1 end
    else (
      select viewer.visible_from_seq from members viewer
      where viewer.chat_id = ${chat}.id and viewer.user_id = ${person}) end`;
}

/** Returns a Prisma filter for the chats that the asker can see according to that rule. */
export function visibleChats({ userId }: Asker): Prisma.ChatWhereInput {
  return { OR: [{ type: 'PUBLIC_CHANNEL', currentBans: { none: { userId } } }, { members: { some: { userId } } }] };
}

/**
 * Returns a Prisma filter for the memberships that the asker can see, which are those of the chats that the asker can
 * see.
 */
export function visibleMembers(asker: Asker): Prisma.MemberWhereInput {
  return { chat: visibleChats(asker) };
}

/**
 * Returns an SQL condition for whether signed-in users can see `person` (an alias of users). They can see `person`
 * until the erasure of the account begins.
 */
export function isVisiblePerson(person: string): string {
  return `${person}.deleted_at is null`;
}

/** Returns the same condition as a Prisma filter. */
export const visiblePeople: Prisma.UserWhereInput = { deletedAt: null };

/**
 * Returns an SQL query for the ids of all chats that a user can see by that rule, plus the public channels that they
 * are banned from. It finds them with indexes instead of applying the rule to every chat. Use it to narrow down a
 * search, but never instead of the rule.
 */
export function visibleChatIds(person: string): string {
  return `select chat_id from members where user_id = ${person}
    union select id from chats where type = 'PUBLIC_CHANNEL'`;
}

/** A chat, and the asker who reads it. */
export type ChatReader = { chatId: bigint; asker: Asker };

/** Returns a chat and an asker as a string, for a loader's cache. */
export function chatReaderKey({ chatId, asker }: ChatReader): string {
  return `${chatId} ${askerKey(asker)}`;
}

/** Loads the first seq that the asker can see in a chat, or null if they cannot see the chat. */
export const visibleFromOf = defineLoader({
  load: readVisibleFrom,
  keyOf: chatReaderKey,
});

/**
 * Loads the seq below which a chat's history is hidden from at least one member, or 1 if nothing is hidden from anyone.
 */
export const hiddenBelowOf = defineLoader({ load: readHiddenBelow });

/**
 * Raw SQL, at half the cost of Prisma, because events and pages of messages run this, for many readers in one
 * statement.
 */
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

/** Raw SQL, at half the cost of Prisma, because this runs when events are rendered, for many chats in one statement. */
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
