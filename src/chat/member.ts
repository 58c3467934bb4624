import type { Db } from '../postgres/client.ts';
import type { Member } from '../postgres/generated/prisma/client.ts';
import { memberUserById } from '../people/user.ts';
import { columns, nested } from '../postgres/columns.ts';
import { defineLoader, definePageLoader, type Prime } from '../postgres/loader.ts';
import { pageBounds, toPages, type Page, type PageRequest } from '../postgres/page.ts';
import { pairOne } from '../postgres/pairing.ts';
import { unnest } from '../postgres/unnest.ts';

/** The key of a membership: a chat and a user. */
export type MemberKey = { chatId: bigint; userId: bigint };

/** Returns a membership's key as a string, `chatId_userId`. */
export function memberKeyOf({ chatId, userId }: MemberKey): string {
  return `${chatId}_${userId}`;
}

const user = nested.user('u');
/** A column for statements that join `users u`. `primeUsers` reads it. */
export const memberUser = `${user.columnWhen('true')} as user`;

/**
 * Passes the users that were read along with their memberships to the loaders, because nearly every query shows them.
 */
export function primeUsers(rows: readonly (Member & { index: number; user: unknown })[], prime: Prime): void {
  for (const { index, userId, user: found } of rows) {
    prime(index - 1, memberUserById, { key: userId, value: user.take(found) });
  }
}

/** Loads memberships by chat and user. */
export const memberByKey = defineLoader({ load: loadMembers, keyOf: memberKeyOf });

/** Loads a page of a chat's members, by the chat's id. */
export const membersOf = definePageLoader({ load: listMembers });

/**
 * Raw SQL, at half the cost of Prisma, because events and lists run this. One statement reads the members of many
 * chats.
 */
async function loadMembers({ pool }: Db, keys: readonly MemberKey[], prime: Prime): Promise<(Member | null)[]> {
  const { rows } = await pool.query<Member & { index: number; user: unknown }>({
    name: 'members_at',
    text: `select wanted.index::int as index, ${columns.member('m')}, ${memberUser}
    from ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as wanted (chat_id, user_id, index)
    join members m using (chat_id, user_id)
    join users u on u.id = m.user_id`,
    values: [keys.map(({ chatId }) => chatId), keys.map(({ userId }) => userId)],
  });
  primeUsers(rows, prime);
  return pairOne(rows, keys, { value: (row): Member => row, missing: null });
}

/**
 * Reads a page of members for each chat. The key in a cursor is the user's id. The caller must check that the asker can
 * see the chat. The same statement also reads the users of these memberships, because nearly every list shows them. Raw
 * SQL: Prisma cannot limit the number of rows per chat and would read all members of each chat.
 */
async function listMembers(
  db: Db,
  chatIds: readonly bigint[],
  page: PageRequest,
  prime: Prime,
): Promise<Page<Member>[]> {
  const direction = page.isBackward ? 'desc' : 'asc';
  const { rows } = await db.pool.query<Member & { index: number; user: unknown }>({
    name: `members_${direction}`,
    text: `select chat.index::int as index, ${columns.member('m')}, ${memberUser}
    from ${unnest('$1::bigint[]')} with ordinality as chat (id, index)
    cross join lateral (
      select m.* from members m
      where m.chat_id = chat.id and m.user_id > $2::bigint and m.user_id < $3::bigint
      order by m.user_id ${direction} limit $4
    ) m
    join users u on u.id = m.user_id
    order by chat.index, m.user_id ${direction}`,
    values: [chatIds, ...pageBounds(page)],
  });
  primeUsers(rows, prime);
  return toPages(rows, chatIds, page);
}
