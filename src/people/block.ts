import type { Db, Transaction } from '../postgres/client.ts';
import { orGone } from '../postgres/foreign-key.ts';
import type { Block, Prisma, User } from '../postgres/generated/prisma/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { pairMany } from '../postgres/pairing.ts';
import { memberKeyOf, type MemberKey } from '../chat/member.ts';
import { Forbidden, InvalidInput } from '../errors.ts';
import { toPage, type Page, type PageRequest } from '../postgres/page.ts';
import { requireUser } from './user.ts';
import type { Asker } from '../core/asker.ts';
import { unnest } from '../postgres/unnest.ts';

/** A user that the asker has blocked, and the time of the block. */
export type BlockedUser = Block & { blocked: User };

/**
 * Whether the other person in the single chat `chat` (an alias of chats) has blocked `person` (a user id). An SQL
 * condition.
 */
export const isBlockedIn = (chat: string, person: string) => `case when ${chat}.type = 'SINGLE' then exists (
    select from single_chats pair
    join blocks on blocks.blocked_id = ${person} and blocks.blocker_id in (pair.low_user_id, pair.high_user_id)
    where pair.chat_id = ${chat}.id) else false end`;

/**
 * Blocks a user. The blocked user can then no longer open a single chat with the asker, write in an existing one, or
 * add the asker to a chat. Chats that both users are in do not change, and the blocked user is not notified. Blocking
 * the user again changes nothing. Throws NotFound if the user does not exist or if the asker's account is deleted in
 * the meantime, and InvalidInput if the user is the asker.
 */
export async function blockUser(db: Db, asker: Asker, userId: bigint): Promise<User> {
  if (userId === asker.userId) {
    throw new InvalidInput([{ path: ['userId'], code: 'NOT_ALLOWED', message: 'must not be your own' }]);
  }
  // Raw SQL: Prisma supports neither the lock nor `on conflict`, and its upsert fails when two requests race.
  const inserting = db.pool.query(
    `insert into blocks (blocker_id, blocked_id)
    select $1, id from users where id = $2 and deleted_at is null for key share
    on conflict do nothing`,
    [asker.userId, userId],
  );
  await orGone(inserting, ['blocks_blocker_id_fkey']);
  return requireUser(db, userId);
}

/** Lifts the block. If the user is not blocked, nothing changes. Throws NotFound if the user does not exist. */
export async function unblockUser(db: Db, asker: Asker, userId: bigint): Promise<User> {
  const user = await requireUser(db, userId);
  await db.prisma.block.deleteMany({ where: { blockerId: asker.userId, blockedId: userId } });
  return user;
}

/**
 * Returns the users that the asker has blocked, newest block first. The key of a cursor is (time of the block in ms,
 * user id). `blocked` specifies which data Prisma reads about each user.
 */
export async function listBlockedUsers(
  db: Db,
  asker: Asker,
  { page, blocked }: { page: PageRequest; blocked: Prisma.UserDefaultArgs },
): Promise<Page<BlockedUser>> {
  const direction = page.isBackward ? 'asc' : 'desc';
  const rows = await db.prisma.block.findMany({
    where: { blockerId: asker.userId, AND: [beyond(page.after, 'lt'), beyond(page.before, 'gt')] },
    orderBy: [{ blockedAt: direction }, { blockedId: direction }],
    take: page.limit + 1,
    include: { blocked },
  });
  return toPage(rows, page);
}

/**
 * Selects the rows beyond the key of a cursor: those whose (blocked_at, blocked_id) is less (`lt`) or greater (`gt`).
 */
function beyond(key: readonly bigint[] | null, side: 'lt' | 'gt'): Prisma.BlockWhereInput {
  const [at, id] = key ?? [];
  if (at === undefined || id === undefined) return {};
  const blockedAt = new Date(Number(at));
  return { OR: [{ blockedAt: { [side]: blockedAt } }, { blockedAt, blockedId: { [side]: id } }] };
}

/** For each member, loads the ids of the other members of the chat that the member has blocked. */
export const blockedMembersOf = defineLoader({ load: listBlockedMembers, keyOf: memberKeyOf });

/** Raw SQL costs half as much as Prisma. This runs for many members in one statement when events are rendered. */
async function listBlockedMembers(db: Db, members: readonly MemberKey[]): Promise<ReadonlySet<bigint>[]> {
  const { rows } = await db.pool.query<{ index: number; userId: bigint }>({
    name: 'blocked_members',
    text: `select w.index::int as index, b.blocked_id as "userId"
    from ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as w (chat_id, user_id, index)
    join blocks b on b.blocker_id = w.user_id
    join members m on m.chat_id = w.chat_id and m.user_id = b.blocked_id`,
    values: [members.map(({ chatId }) => chatId), members.map(({ userId }) => userId)],
  });
  return pairMany(rows, members, ({ userId }) => userId).map((userIds) => new Set(userIds));
}

/** Throws Forbidden if one of these users has blocked the asker, without naming the user. */
export async function refuseBlockers({ prisma }: Transaction, asker: Asker, userIds: readonly bigint[]): Promise<void> {
  if (userIds.length === 0) return;
  const block = await prisma.block.findFirst({
    where: { blockedId: asker.userId, blockerId: { in: [...userIds] } },
    select: { blockerId: true },
  });
  if (block !== null) throw new Forbidden('One of these people does not allow you to add them to a chat.');
}
