import { askerKey, type Asker } from '../core/asker.ts';
import type { Db } from '../postgres/client.ts';
import type { Prisma } from '../postgres/generated/prisma/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { pairOne } from '../postgres/pairing.ts';

/**
 * The one rule of who sees what, as SQL: the first seq of chat `chat` (an alias of chats) that the person sees, null
 * for somebody who doesn't see the chat at all. A public channel is read whole by everyone; everything else by its
 * members, from the place on that their membership shows. A message is seen when its seq is not below.
 */
export function visibleFrom(chat: string, person: string): string {
  return `case when ${chat}.type = 'PUBLIC_CHANNEL' then 1 else (
    select viewer.visible_from_seq from members viewer
    where viewer.chat_id = ${chat}.id and viewer.user_id = ${person}) end`;
}

/** The chats that an asker sees by that rule, for Prisma. */
export function visibleChats({ userId }: Asker): Prisma.ChatWhereInput {
  return { OR: [{ type: 'PUBLIC_CHANNEL' }, { members: { some: { userId } } }] };
}

/** The memberships that an asker sees: those of the chats that they see. For Prisma. */
export function visibleMembers(asker: Asker): Prisma.MemberWhereInput {
  return { chat: visibleChats(asker) };
}

/** Whether `person` (an alias of users) is shown to those who are signed in: until the account is erased. As SQL. */
export function isVisiblePerson(person: string): string {
  return `${person}.deleted_at is null`;
}

/** The same, for Prisma. */
export const visiblePeople: Prisma.UserWhereInput = { deletedAt: null };

/**
 * The ids of the chats that a person sees at all by that rule, found by index instead of by asking it of every chat there
 * is. It may be used to narrow down where to look, never in the rule's place.
 */
export function visibleChatIds(person: string): string {
  return `select chat_id from members where user_id = ${person}
    union select id from chats where type = 'PUBLIC_CHANNEL'`;
}

/** A chat, and on whose behalf it is read. */
export type ChatReader = { chatId: bigint; asker: Asker };

/** The string that stands for a chat and an asker. */
export function chatReaderKey({ chatId, asker }: ChatReader): string {
  return `${chatId} ${askerKey(asker)}`;
}

/** The first seq that an asker sees of a chat; null when they do not see the chat. */
export const visibleFromOf = defineLoader({
  load: readVisibleFrom,
  keyOf: chatReaderKey,
});

/** Below this seq a chat's history is hidden from some member; 1 where it is hidden from no one. */
export const hiddenBelowOf = defineLoader({ load: readHiddenBelow });

/** As SQL: events and pages of messages select it, for many readers at once. */
async function readVisibleFrom({ pool }: Db, readers: readonly ChatReader[]): Promise<(number | null)[]> {
  const { rows } = await pool.query<{ index: number; seq: number | null }>(
    `select place.index::int as index, ${visibleFrom('c', 'place.user_id')} as seq
    from unnest($1::bigint[], $2::bigint[]) with ordinality as place (chat_id, user_id, index)
    join chats c on c.id = place.chat_id`,
    [readers.map(({ chatId }) => chatId), readers.map(({ asker }) => asker.userId)],
  );
  return pairOne(rows, readers, { value: ({ seq }) => seq, missing: null });
}

/** As SQL: events select it, for many chats at once. */
async function readHiddenBelow({ pool }: Db, chatIds: readonly bigint[]): Promise<number[]> {
  const { rows } = await pool.query<{ id: bigint; seq: number | null }>(
    `select c.id, case when c.type = 'PUBLIC_CHANNEL' then 1 else (
      select max(m.visible_from_seq) from members m where m.chat_id = c.id and m.visible_from_seq > 1) end as seq
    from chats c where c.id = any ($1)`,
    [chatIds],
  );
  const found = new Map(rows.map(({ id, seq }) => [id, seq]));
  return chatIds.map((chatId) => found.get(chatId) ?? 1);
}
