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

/** A person on a list of blocked people, and since when they are on it. */
export type BlockedUser = Block & { blocked: User };

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
    throw new InvalidInput([{ path: ['userId'], code: 'NOT_ALLOWED', message: 'must not be your own' }]);
  }
  // As SQL: Prisma has neither the lock nor `on conflict`, and its upsert fails when two requests race.
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
  await db.prisma.block.deleteMany({ where: { blockerId: asker.userId, blockedId: userId } });
  return user;
}

/**
 * The people whom the asker has blocked, the newest first; a row's key is (time in ms, id). `blocked` is what to read of
 * each person beside their own columns.
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

/** What stands beyond a key in the list: (blocked_at, blocked_id) is less, or greater. */
function beyond(key: readonly bigint[] | null, side: 'lt' | 'gt'): Prisma.BlockWhereInput {
  const [at, id] = key ?? [];
  if (at === undefined || id === undefined) return {};
  const blockedAt = new Date(Number(at));
  return { OR: [{ blockedAt: { [side]: blockedAt } }, { blockedAt, blockedId: { [side]: id } }] };
}

/** Which of a chat's other members a member has blocked. */
export const blockedMembersOf = defineLoader({ load: listBlockedMembers, keyOf: memberKeyOf });

/** As SQL: events select it, and many members are asked about at once. */
async function listBlockedMembers(db: Db, members: readonly MemberKey[]): Promise<ReadonlySet<bigint>[]> {
  const { rows } = await db.pool.query<{ index: number; userId: bigint }>({
    name: 'blocked_members',
    text: `select w.index::int as index, b.blocked_id as "userId"
    from unnest($1::bigint[], $2::bigint[]) with ordinality as w (chat_id, user_id, index)
    join blocks b on b.blocker_id = w.user_id
    join members m on m.chat_id = w.chat_id and m.user_id = b.blocked_id`,
    values: [members.map(({ chatId }) => chatId), members.map(({ userId }) => userId)],
  });
  return pairMany(rows, members, ({ userId }) => userId).map((userIds) => new Set(userIds));
}

/** Throws Forbidden when one of these people has blocked the viewer; which of them is not said. */
export async function refuseBlockers({ prisma }: Transaction, asker: Asker, userIds: readonly bigint[]): Promise<void> {
  if (userIds.length === 0) return;
  const block = await prisma.block.findFirst({
    where: { blockedId: asker.userId, blockerId: { in: [...userIds] } },
    select: { blockerId: true },
  });
  if (block !== null) throw new Forbidden('Someone among these people does not want to be in a chat by you.');
}
