import type { Db, Queryable, Transaction } from '../postgres/client.ts';
import { orGone } from '../postgres/foreign-key.ts';
import type { Chat, Member, MemberRole } from '../postgres/generated/prisma/client.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { refuseBlockers } from '../people/block.ts';
import { lockPeople, maxMembersPerCall, refuseUnknownPeople } from './chat.ts';
import { deleteLockedChat, inChat, readLockedChat, requireMay, type LockedChat } from './locked-chat.ts';
import type { Asker } from '../core/asker.ts';

/** How much of what was said before somebody came they see of it. */
export type SharedHistory = 'ALL' | 'FROM_NOW';

/** Whom to add; with `history: null` they see what newcomers to a chat of its type usually see. */
export type NewMembers = { chatId: bigint; userIds: readonly bigint[]; history: SharedHistory | null };

/**
 * Adds people to a chat; everybody in it, they included, hears AddToChat once. Those who are in it already stay as they
 * are. Newcomers see as much of a channel's history as the asker does, and of a group what is said from now on, unless
 * `history` says otherwise; a public channel is read whole by everyone, whatever it says.
 * Forbidden where the viewer's role does not let them, and when one of the newcomers has blocked them; InvalidInput for
 * more than 1,000 people at a time, and for unknown ones, which it names.
 */
export async function addMembers(db: Db, asker: Asker, { chatId, userIds, history }: NewMembers): Promise<Chat> {
  if (userIds.length > maxMembersPerCall) {
    throw new InvalidInput([
      { path: ['userIds'], code: 'TOO_MANY', message: `must not contain more than ${maxMembersPerCall} people` },
    ]);
  }
  return inChat(db, { asker, chatId }, async (transaction, held) => {
    requireMay('addMembers', held);
    const members = await findMembers(transaction, chatId, userIds);
    const newcomers = [...new Set(userIds)].filter((userId) => !members.has(userId));
    // Not those who are members: whoever erases one of them holds that person first and waits for the chat.
    const known = await lockPeople(transaction, newcomers);
    refuseUnknownPeople(userIds, new Set([...members.keys(), ...known]), 'userIds');
    await refuseBlockers(transaction, asker, newcomers);
    await insertMembers(transaction, newcomers, { chatId, visibleFromSeq: firstVisibleSeq(held, history) });
    return readLockedChat(transaction, held);
  });
}

/**
 * Takes somebody out of a chat. They and those who remain hear RemoveFromChat, for them the last event of that chat;
 * but a public channel they go on reading, as anybody may.
 * NotFound for somebody who is no member, Forbidden where the viewer's role or theirs does not allow it, LastOwner for
 * the last owner.
 */
export async function removeMember(
  db: Db,
  asker: Asker,
  { chatId, userId }: { chatId: bigint; userId: bigint },
): Promise<Chat> {
  return inChat(db, { asker, chatId }, async (transaction, held) => {
    await requireTarget(transaction, held, { action: 'removeMember', userId });
    if (held.chat.memberCount === 1)
      throw new Forbidden('You are the only member of this chat. Leaving it deletes it; `leaveChat` does that.');
    await deleteMember(transaction, chatId, userId);
    return readLockedChat(transaction, held);
  });
}

/**
 * Gives a member that role; all members hear MemberUpdated. A chat may have several owners.
 * NotFound for somebody who is no member, Forbidden unless the viewer is an owner, LastOwner when none would be left.
 */
export async function setMemberRole(
  db: Db,
  asker: Asker,
  { chatId, userId, role }: { chatId: bigint; userId: bigint; role: MemberRole },
): Promise<Member> {
  return inChat(db, { asker, chatId }, async (transaction, held) => {
    await requireTarget(transaction, held, { action: 'setMemberRole', userId });
    return transaction.prisma.member.update({ where: { chatId_userId: { chatId, userId } }, data: { role } });
  });
}

/**
 * Makes the viewer a member of a public channel; everybody in it hears AddToChat. Whoever is one stays as they are.
 * Forbidden for any other chat that the viewer sees, NotFound also when the viewer's account goes meanwhile.
 */
export async function joinChat(db: Db, asker: Asker, { chatId }: { chatId: bigint }): Promise<Chat> {
  return inChat(db, { asker, chatId }, async (transaction, held) => {
    requireMay('joinChat', held);
    if (held.access.role !== null) return held.chat;
    const inserting = insertMembers(transaction, [asker.userId], { chatId, visibleFromSeq: 1 });
    await orGone(inserting, ['members_user_id_fkey']);
    return readLockedChat(transaction, held);
  });
}

/**
 * Ends the viewer's membership; they and those who remain hear RemoveFromChat. The last one takes the chat along, and
 * hears ChatDeleted instead. Forbidden for a single chat and for one that the viewer only reads, LastOwner for the last
 * owner while others remain.
 */
export async function leaveChat(db: Db, asker: Asker, { chatId }: { chatId: bigint }): Promise<void> {
  return inChat(db, { asker, chatId }, async (transaction, held) => {
    requireMay('leaveChat', held);
    if (held.chat.memberCount === 1) await deleteLockedChat(transaction, held);
    else await deleteMember(transaction, chatId, asker.userId);
  });
}

/** Whoever may do that to nobody is told so, whether or not the one they name is a member. */
async function requireTarget(
  transaction: Transaction,
  held: LockedChat,
  { action, userId }: { action: 'removeMember' | 'setMemberRole'; userId: bigint },
): Promise<void> {
  const role = (await findMembers(transaction, held.chat.id, [userId])).get(userId);
  requireMay(action, held, role ?? 'MEMBER');
  if (role === undefined) throw new NotFound('That person is not a member of this chat.');
}

/** ALL is all that the asker sees: no one gives more of the history than they have. */
function firstVisibleSeq({ chat: { type, lastSeq }, access }: LockedChat, history: SharedHistory | null): number {
  if (type === 'PUBLIC_CHANNEL') return 1;
  return (history ?? (type === 'GROUP' ? 'FROM_NOW' : 'ALL')) === 'ALL' ? access.visibleFrom : lastSeq + 1;
}

/** Those of the people who are members, with their roles. */
async function findMembers(
  { prisma }: Transaction,
  chatId: bigint,
  userIds: readonly bigint[],
): Promise<Map<bigint, MemberRole>> {
  const members = await prisma.member.findMany({
    where: { chatId, userId: { in: [...new Set(userIds)] } },
    select: { userId: true, role: true },
  });
  return new Map(members.map(({ userId, role }) => [userId, role]));
}

/** As SQL: one statement for all, so that one event tells of them, and a thirtieth of what Prisma's createMany costs. */
async function insertMembers(
  client: Queryable,
  userIds: readonly bigint[],
  { chatId, visibleFromSeq }: { chatId: bigint; visibleFromSeq: number },
): Promise<void> {
  await client.query(
    `insert into members (chat_id, user_id, visible_from_seq)
    select $1, user_id, $3 from unnest($2::bigint[]) as user_id order by user_id
    on conflict (chat_id, user_id) do nothing`,
    [chatId, userIds, visibleFromSeq],
  );
}

async function deleteMember({ prisma }: Transaction, chatId: bigint, userId: bigint): Promise<void> {
  await prisma.member.deleteMany({ where: { chatId, userId } });
}
