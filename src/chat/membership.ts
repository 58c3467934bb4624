import type { Db, Queryable, Transaction } from '../postgres/client.ts';
import { orGone } from '../postgres/foreign-key.ts';
import type { Chat, Member, MemberRole } from '../postgres/generated/prisma/client.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { refuseBlockers } from '../people/block.ts';
import { lockPeople, maxMembersPerCall, refuseUnknownPeople } from './chat.ts';
import { refuseBanned, refuseBannedPeople } from './ban-refusal.ts';
import { deleteLockedChat, inChat, readLockedChat, requireMay, type LockedChat } from './locked-chat.ts';
import type { Asker } from '../core/asker.ts';
import { unnest } from '../postgres/unnest.ts';

/** How much of the earlier history new members can see. */
export type SharedHistory = 'ALL' | 'FROM_NOW';

/** The people to add. If `history` is null, the chat's type decides how much of the history they see. */
export type NewMembers = { chatId: bigint; userIds: readonly bigint[]; history: SharedHistory | null };

/**
 * Adds people to a chat. All members, including the new members, receive AddToChat once. Existing members are not
 * changed. By default, new members of a channel see as much of its history as the asker does, and new members of a
 * group see only new messages. `history` overrides this default. Everyone can read all of a public channel, regardless
 * of `history`. Throws Forbidden if the asker's role does not allow it, if one of the new members has blocked the
 * asker, or if one of them is banned from the chat; throws InvalidInput, with a list of the errors, for more than 1,000
 * people at a time or for unknown people.
 */
export async function addMembers(db: Db, asker: Asker, { chatId, userIds, history }: NewMembers): Promise<Chat> {
  if (userIds.length > maxMembersPerCall) {
    throw new InvalidInput([
      { path: ['userIds'], code: 'TOO_MANY', message: `must not contain more than ${maxMembersPerCall} people` },
    ]);
  }
  return inChat(db, { asker, chatId }, async (transaction, locked) => {
    requireMay('addMembers', locked);
    const members = await findMembers(transaction, chatId, userIds);
    const newUserIds = [...new Set(userIds)].filter((userId) => !members.has(userId));
    // Existing members are not locked, because that could deadlock: an erasure locks the user's row first and then
    // waits for the chat.
    const known = await lockPeople(transaction, newUserIds);
    refuseUnknownPeople(userIds, new Set([...members.keys(), ...known]), 'userIds');
    await refuseBlockers(transaction, asker, newUserIds);
    await refuseBannedPeople(transaction, chatId, newUserIds);
    await insertMembers(transaction, newUserIds, { chatId, visibleFromSeq: firstVisibleSeq(locked, history) });
    return readLockedChat(transaction, locked);
  });
}

/**
 * Removes a member from a chat. The remaining members and the removed member receive RemoveFromChat. For the removed
 * member, it is the last event from the chat. The removed member can still read a public channel, as anyone can. Throws
 * NotFound if the user is not a member; Forbidden if the asker's role or the member's role does not allow it, or if the
 * member is the only one; LastOwner if the member is the last owner.
 */
export async function removeMember(
  db: Db,
  asker: Asker,
  { chatId, userId }: { chatId: bigint; userId: bigint },
): Promise<Chat> {
  return inChat(db, { asker, chatId }, async (transaction, locked) => {
    await requireTarget(transaction, locked, { action: 'removeMember', userId });
    if (locked.chat.memberCount === 1)
      throw new Forbidden('You are the only member of this chat: call `leaveChat` to leave and delete it.');
    await deleteMember(transaction, chatId, userId);
    return readLockedChat(transaction, locked);
  });
}

/**
 * Sets a member's role. All members receive MemberUpdated. A chat can have several owners.
 * Throws NotFound if the user is not a member; Forbidden if the asker is not an owner; LastOwner if no owner would
 * remain.
 */
export async function setMemberRole(
  db: Db,
  asker: Asker,
  { chatId, userId, role }: { chatId: bigint; userId: bigint; role: MemberRole },
): Promise<Member> {
  return inChat(db, { asker, chatId }, async (transaction, locked) => {
    await requireTarget(transaction, locked, { action: 'setMemberRole', userId });
    return transaction.prisma.member.update({ where: { chatId_userId: { chatId, userId } }, data: { role } });
  });
}

/**
 * Makes the asker a member of a public channel. All members receive AddToChat. If the asker is already a member,
 * nothing changes. Throws Forbidden, with the end of the ban and the reason, for a public channel from which the asker
 * is banned; Forbidden for any chat of another type that the asker can see; NotFound for a hidden chat, or if the
 * asker's account is deleted in the meantime.
 */
export async function joinChat(db: Db, asker: Asker, { chatId }: { chatId: bigint }): Promise<Chat> {
  await refuseBanned(db.pool, asker.userId, { chatId, isPublic: true });
  return inChat(db, { asker, chatId }, async (transaction, locked) => {
    if (locked.access.role !== null && locked.chat.type === 'PUBLIC_CHANNEL') return locked.chat;
    requireMay('joinChat', locked);
    const inserting = insertMembers(transaction, [asker.userId], { chatId, visibleFromSeq: 1 });
    await orGone(inserting, ['members_user_id_fkey']);
    return readLockedChat(transaction, locked);
  });
}

/**
 * Ends the asker's membership. The asker and the remaining members receive RemoveFromChat. When the last member leaves
 * a chat that has no key, the chat is deleted, and that member receives ChatDeleted instead. Throws Forbidden for a
 * single chat (unless the other person's account is erased) and for a chat that the asker reads without being a member;
 * LastOwner if the asker is the last owner and other members remain.
 */
export async function leaveChat(db: Db, asker: Asker, { chatId }: { chatId: bigint }): Promise<void> {
  return inChat(db, { asker, chatId }, async (transaction, locked) => {
    requireMay('leaveChat', locked);
    // A chat with a key belongs to the embedding product, which may later add members to it again.
    if (locked.chat.memberCount === 1 && locked.chat.key === null) await deleteLockedChat(transaction, locked);
    else await deleteMember(transaction, chatId, asker.userId);
  });
}

/** An action, and the user that it affects. */
export type Targeting = { action: 'removeMember' | 'setMemberRole' | 'banMember' | 'muteMember'; userId: bigint };

/** Like `requireMayTo`, but also throws NotFound if the user is not a member. */
export async function requireTarget(transaction: Transaction, locked: LockedChat, targeting: Targeting): Promise<void> {
  const role = await requireMayTo(transaction, locked, targeting);
  if (role === null) throw new NotFound('That person is not a member of this chat.');
}

/**
 * Throws Forbidden unless the asker may perform the action on the user. A user who is not a member counts as a plain
 * member. Returns the user's role, or null if they are not a member.
 */
export async function requireMayTo(
  transaction: Transaction,
  locked: LockedChat,
  { action, userId }: Targeting,
): Promise<MemberRole | null> {
  const role = (await findMembers(transaction, locked.chat.id, [userId])).get(userId) ?? null;
  requireMay(action, locked, role ?? 'MEMBER');
  return role;
}

/** ALL means everything that the asker can see, because members cannot share more of the history than they see. */
function firstVisibleSeq({ chat: { type, lastSeq }, access }: LockedChat, history: SharedHistory | null): number {
  if (type === 'PUBLIC_CHANNEL') return 1;
  return (history ?? (type === 'GROUP' ? 'FROM_NOW' : 'ALL')) === 'ALL' ? access.visibleFrom : lastSeq + 1;
}

/** Returns the roles of the given users who are members, by user id. */
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

/**
 * Adds members to a chat whose row this transaction has locked. Existing members are not changed.
 * Raw SQL, because a single statement adds all members, so there is a single event. The statement costs a thirtieth of
 * what Prisma's createMany costs.
 */
export async function insertMembers(
  client: Queryable,
  userIds: readonly bigint[],
  { chatId, visibleFromSeq }: { chatId: bigint; visibleFromSeq: number },
): Promise<void> {
  await client.query(
    `insert into members (chat_id, user_id, visible_from_seq)
    select $1, user_id, $3 from ${unnest('$2::bigint[]')} as user_id order by user_id
    on conflict (chat_id, user_id) do nothing`,
    [chatId, userIds, visibleFromSeq],
  );
}

async function deleteMember({ prisma }: Transaction, chatId: bigint, userId: bigint): Promise<void> {
  await prisma.member.deleteMany({ where: { chatId, userId } });
}
