import type { Db } from '../postgres/client.ts';
import type { Member } from '../postgres/generated/prisma/client.ts';
import { columns } from '../postgres/columns.ts';
import { defineLoader, definePageLoader } from '../postgres/loader.ts';
import { toPages, type Page, type PageRequest } from '../postgres/page.ts';
import { pairOne } from '../postgres/pairing.ts';

/** What identifies a membership: a chat and a user. */
export type MemberKey = { chatId: bigint; userId: bigint };

/** A membership's key as a string, `chatId_userId`. */
export function memberKeyOf({ chatId, userId }: MemberKey): string {
  return `${chatId}_${userId}`;
}

/** Memberships by chat and user. */
export const memberByKey = defineLoader({ load: loadMembers, keyOf: memberKeyOf });

/** A page of a chat's members, keyed by the chat's id. */
export const membersOf = definePageLoader({ load: listMembers });

/** Raw SQL, at half Prisma's cost: events and lists run this, and one statement reads members of many chats. */
async function loadMembers({ pool }: Db, keys: readonly MemberKey[]): Promise<(Member | null)[]> {
  const { rows } = await pool.query<Member & { index: number }>({
    name: 'members_at',
    text: `select wanted.index::int as index, ${columns.member('m')}
    from unnest($1::bigint[], $2::bigint[]) with ordinality as wanted (chat_id, user_id, index)
    join members m using (chat_id, user_id)`,
    values: [keys.map(({ chatId }) => chatId), keys.map(({ userId }) => userId)],
  });
  return pairOne(rows, keys, { value: (row): Member => row, missing: null });
}

/**
 * A page of members for each chat; a cursor's key is the user's id. The caller checks that the asker can see the chat.
 * Raw SQL: Prisma has no limit per chat, and would read all members of each.
 */
async function listMembers(db: Db, chatIds: readonly bigint[], page: PageRequest): Promise<Page<Member>[]> {
  const direction = page.isBackward ? 'desc' : 'asc';
  const { rows } = await db.pool.query<Member & { index: number }>({
    name: `members_${direction}`,
    text: `select chat.index::int as index, ${columns.member('m')}
    from unnest($1::bigint[]) with ordinality as chat (id, index)
    cross join lateral (
      select m.* from members m
      where m.chat_id = chat.id and m.user_id > $2::bigint and m.user_id < $3::bigint
      order by m.user_id ${direction} limit $4
    ) m
    order by chat.index, m.user_id ${direction}`,
    values: [chatIds, page.after?.[0] ?? -1n, page.before?.[0] ?? 2n ** 62n, page.limit + 1],
  });
  return toPages(rows, chatIds, page);
}
