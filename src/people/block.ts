import type { Db, Queryable } from '../postgres/client.ts';
import { orGone } from '../postgres/foreign-key.ts';
import type { User } from '../postgres/generated/prisma/client.ts';
import { columns } from '../postgres/columns.ts';
import { Forbidden, InvalidInput } from '../errors.ts';
import { toPage, type Page, type PageRequest } from '../postgres/page.ts';
import { requireUser } from './user.ts';
import type { Asker } from '../core/asker.ts';

/** Somebody on a list of blocked people, and since when. */
export type BlockedUser = User & { blockedAt: Date };

/** Whether the other one of single chat `chat` (an alias of chats) has blocked that person. As SQL. */
export const isBlockedIn = (chat: string, person: string) => `case when ${chat}.type = 'SINGLE' then exists (
    select from single_chats pair
    join blocks on blocks.blocked_id = ${person} and blocks.blocker_id in (pair.low_user_id, pair.high_user_id)
    where pair.chat_id = ${chat}.id) else false end`;

/**
 * From now on that person can neither open a single chat with the viewer nor say anything in the one they have, nor put
 * the viewer into a chat; chats that both are in stay as they are, and the person is not told. Once more changes nothing.
 * NotFound for somebody who isn't there, and when the viewer's account goes meanwhile; InvalidInput for oneself.
 */
export async function blockUser(db: Db, asker: Asker, userId: bigint): Promise<User> {
  if (userId === asker.userId) {
    throw new InvalidInput([{ path: ['userId'], code: 'NOT_ALLOWED', message: 'is you: nobody blocks themselves' }]);
  }
  const inserting = db.pool.query(
    `insert into blocks (blocker_id, blocked_id)
    select $1, id from users where id = $2 and deleted_at is null for key share
    on conflict do nothing`,
    [asker.userId, userId],
  );
  await orGone(inserting, ['blocks_blocker_id_fkey']);
  return requireUser(db, userId);
}

/** The person may do again what they could before. Nothing changes for one who isn't blocked. NotFound as above. */
export async function unblockUser(db: Db, asker: Asker, userId: bigint): Promise<User> {
  const user = await requireUser(db, userId);
  await db.pool.query('delete from blocks where blocker_id = $1 and blocked_id = $2', [asker.userId, userId]);
  return user;
}

/** Whom the viewer has blocked, the newest first; its key is (time in ms, id). */
export async function listBlockedUsers(db: Db, asker: Asker, page: PageRequest): Promise<Page<BlockedUser>> {
  const at = (parameter: string) => `timestamptz 'epoch' + ${parameter}::bigint * interval '1 millisecond'`;
  const direction = page.isBackward ? 'asc' : 'desc';
  const { rows } = await db.pool.query<BlockedUser>(
    `select ${columns.user('u')}, b.blocked_at as "blockedAt"
    from blocks b join users u on u.id = b.blocked_id
    where b.blocker_id = $1
      and ($2::bigint is null or (b.blocked_at, b.blocked_id) < (${at('$2')}, $3::bigint))
      and ($4::bigint is null or (b.blocked_at, b.blocked_id) > (${at('$4')}, $5::bigint))
    order by b.blocked_at ${direction}, b.blocked_id ${direction}
    limit $6`,
    [
      asker.userId,
      page.after?.[0] ?? null,
      page.after?.[1] ?? null,
      page.before?.[0] ?? null,
      page.before?.[1] ?? null,
      page.limit + 1,
    ],
  );
  return toPage(rows, page);
}

/** Throws Forbidden when one of these people has blocked the viewer; which of them is not said. */
export async function refuseBlockers(client: Queryable, asker: Asker, userIds: readonly bigint[]): Promise<void> {
  const { rowCount } = await client.query(
    'select from blocks where blocked_id = $1 and blocker_id = any ($2) limit 1',
    [asker.userId, userIds],
  );
  if (rowCount !== 0) throw new Forbidden('Somebody among these people does not want to be in a chat by you.');
}
