import { InvalidInput } from '../errors.ts';
import type { Queryable, Transaction } from '../postgres/client.ts';
import type { Chat, MemberRole } from '../postgres/generated/prisma/client.ts';
import { refuseBannedPeople } from './ban-refusal.ts';
import { lockPeople, refuseUnknownPeople } from './chat.ts';
import { readPair, refuseOwners } from './keyed-chat.ts';
import { insertMembers } from './membership.ts';

/** The wanted members and owners of a chat. Undefined leaves the members, or the owners, as they are. */
export type WantedMembers = {
  memberIds: readonly bigint[] | undefined;
  ownerIds: readonly bigint[] | undefined;
};

/**
 * Makes these users the only members of a chat whose row this transaction has locked. New members see the default part
 * of the history: all of it in a channel, but only new messages in a group. With `ownerIds`, those users become the
 * only owners. Without it, if no owner is left, ownership passes to another member as it does when an account is
 * erased. Throws InvalidInput for unknown users, for owners who are not members, and for a change to a single chat, and
 * Forbidden if a new member is banned.
 */
export async function setMembers(
  transaction: Transaction,
  chat: Pick<Chat, 'id' | 'type' | 'lastSeq'>,
  { memberIds, ownerIds }: WantedMembers,
): Promise<void> {
  if (memberIds === undefined && ownerIds === undefined) return;
  const roles = await readRoles(transaction, chat.id);
  const wanted = new Set(memberIds ?? roles.keys());
  refuseOwners(ownerIds, wanted);
  const added = [...wanted].filter((userId) => !roles.has(userId));
  const removed = [...roles.keys()].filter((userId) => !wanted.has(userId));
  if (chat.type === 'SINGLE') return refuseOtherPair([...wanted], added);
  // Existing members are not locked, because that could deadlock: an erasure locks the user's row and then waits for
  // the chat.
  const known = await lockPeople(transaction, added);
  refuseUnknownPeople(memberIds ?? [], new Set([...roles.keys(), ...known]), 'memberIds');
  await refuseBannedPeople(transaction, chat.id, added);
  const visibleFromSeq = chat.type === 'GROUP' ? chat.lastSeq + 1 : 1;
  if (added.length > 0) await insertMembers(transaction, added, { chatId: chat.id, visibleFromSeq });
  // Sets the new owners before it removes the previous ones, so that ownership does not pass to someone else.
  if (ownerIds !== undefined) await promote(transaction, chat.id, { roles, ownerIds });
  if (removed.length > 0) await removeMembers(transaction, chat.id, { roles, removed });
  if (ownerIds !== undefined) await demoteOthers(transaction, chat.id, ownerIds);
}

async function promote(
  client: Queryable,
  chatId: bigint,
  { roles, ownerIds }: { roles: Map<bigint, MemberRole>; ownerIds: readonly bigint[] },
): Promise<void> {
  await client.query(
    `update members set role = 'OWNER' where chat_id = $1 and user_id = any ($2) and role <> 'OWNER'`,
    [chatId, ownerIds],
  );
  for (const userId of ownerIds) roles.set(userId, 'OWNER');
}

async function demoteOthers(client: Queryable, chatId: bigint, ownerIds: readonly bigint[]): Promise<void> {
  await client.query(
    `update members set role = 'MEMBER' where chat_id = $1 and role = 'OWNER' and not user_id = any ($2)`,
    [chatId, ownerIds],
  );
}

function refuseOtherPair(memberIds: readonly bigint[], added: readonly bigint[]): void {
  readPair(memberIds);
  if (added.length === 0) return;
  const message = 'the two people of a single chat cannot be changed';
  throw new InvalidInput([{ path: ['memberIds'], code: 'NOT_ALLOWED', message }]);
}

/** Raw SQL, like the next statements, because one statement handles all members. */
async function readRoles(client: Queryable, chatId: bigint): Promise<Map<bigint, MemberRole>> {
  const { rows } = await client.query<{ userId: bigint; role: MemberRole }>(
    'select user_id as "userId", role from members where chat_id = $1',
    [chatId],
  );
  return new Map(rows.map(({ userId, role }) => [userId, role]));
}

async function removeMembers(
  client: Queryable,
  chatId: bigint,
  { roles, removed }: { roles: ReadonlyMap<bigint, MemberRole>; removed: readonly bigint[] },
): Promise<void> {
  const owners = [...roles].flatMap(([userId, role]) => (role === 'OWNER' ? [userId] : []));
  if (owners.length > 0 && owners.every((userId) => removed.includes(userId))) {
    // Passes ownership on before the last owner leaves, because the database requires an owner as long as members are
    // left.
    await client.query(
      `update members set role = 'OWNER' where chat_id = $1 and user_id = (
        select user_id from members where chat_id = $1 and not user_id = any ($2)
        order by role = 'ADMIN' desc, joined_at, user_id limit 1)`,
      [chatId, removed],
    );
  }
  await client.query('delete from members where chat_id = $1 and user_id = any ($2)', [chatId, removed]);
}
