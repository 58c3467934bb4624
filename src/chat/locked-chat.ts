import { allowMinutes, inTransaction, type Db, type Queryable, type Transaction } from '../postgres/client.ts';
import type { Chat, MemberRole } from '../postgres/generated/prisma/client.ts';
import { columns } from '../postgres/columns.ts';
import { constraintOf, sqlStateOf } from '../postgres/sql-state.ts';
import { mutedUntil } from '../postgres/restriction.ts';
import { isPeerErased } from './peer.ts';
import { visibleFrom } from './visibility.ts';
import { Forbidden, LastOwner, NotFound, RateLimited } from '../errors.ts';
import { isBlockedIn } from '../people/block.ts';
import { muted } from './chat-access.ts';
import { may, type Action, type ChatAccess } from './permission.ts';
import type { Asker } from '../core/asker.ts';

/**
 * A chat whose row this transaction has locked, and the access that the asker has to the chat: `visibleFrom` is the
 * first seq that the asker sees.
 */
export type LockedChat = { asker: Asker; chat: Chat; access: ChatAccess & { visibleFrom: number } };

/**
 * Runs `work` in a transaction that has locked the chat's row. Every change to the chat, its messages, or its members
 * and their roles takes this lock, so the data that `work` reads stays valid until the commit. Throws NotFound for a
 * chat that the asker cannot see. Throws LastOwner if the database refuses a change that would leave the chat's members
 * without an owner. Throws RateLimited if another transaction (psql, for example) keeps the chat locked for more than 5
 * seconds.
 */
export async function inChat<T>(
  db: Db,
  { asker, chatId }: { asker: Asker; chatId: bigint },
  work: (transaction: Transaction, locked: LockedChat) => Promise<T>,
): Promise<T> {
  try {
    return await inTransaction(
      db,
      async (transaction) => work(transaction, await lockChat(transaction, asker, chatId)),
      asker,
    );
  } catch (error) {
    throw explainChatLock(error);
  }
}

/**
 * Throws Forbidden, with the reason, unless the asker may perform the action in this chat. If only a mute prevents the
 * action, the error has `until`. `targetRole` is the role of the member that the action affects.
 */
export function requireMay(action: Action, { asker, access }: LockedChat, targetRole: MemberRole | null = null): void {
  if (may(asker, action, { ...access, targetRole })) return;
  const { type, role, mutedUntil: until } = access;
  if (until !== null && may(asker, action, { ...access, targetRole, mutedUntil: null })) throw muted(until);
  if (type === 'SINGLE') throw new Forbidden('The members, roles and settings of a single chat cannot be changed.');
  if (role === null) throw new Forbidden('You are not a member of this chat.');
  if (action === 'joinChat') throw new Forbidden('Only public channels can be joined.');
  if (action === 'publishHistory' && role === 'ADMIN') {
    throw new Forbidden(
      'Part of the history is hidden from you: only an owner, or an admin who can see all of it, can make it public.',
    );
  }
  throw new Forbidden(`Your role in this chat (${role}) does not allow that.`);
}

/** Returns the chat's current row, including this transaction's changes. */
export async function readLockedChat({ prisma }: Transaction, { chat }: LockedChat): Promise<Chat> {
  return prisma.chat.findUniqueOrThrow({ where: { id: chat.id } });
}

/**
 * Deletes the chat. The chat's members receive ChatDeleted and no other event. Deleting millions of messages takes
 * minutes.
 */
export async function deleteLockedChat(transaction: Transaction, { chat }: LockedChat): Promise<void> {
  await allowMinutes(transaction);
  await transaction.prisma.chat.deleteMany({ where: { id: chat.id } });
}

/**
 * Locks the chat's row until the transaction ends. Throws RateLimited if another transaction keeps it locked for more
 * than 5 seconds.
 */
export async function holdChat(client: Queryable, chatId: bigint): Promise<void> {
  await client.query(`set local lock_timeout = '5s'`);
  try {
    await client.query('select from chats where id = $1 for no key update', [chatId]);
  } catch (error) {
    throw explainChatLock(error);
  }
}

/**
 * Raw SQL, because Prisma has no row locks, and because the visibility rule belongs in the statement that
 * reads the rows.
 */
async function lockChat({ query }: Transaction, asker: Asker, chatId: bigint): Promise<LockedChat> {
  await holdChat({ query }, chatId);
  // This must be a separate statement, because a statement that has waited for the lock still sees the members as they
  // were before the wait.
  const { rows } = await query<Chat & Omit<ChatAccess, 'type'>>({
    name: 'hold_chat',
    text: `select ${columns.chat('c')}, m.role, ${visibleFrom('c', '$2')} as "visibleFrom",
      ${isBlockedIn('c', '$2')} as "isBlocked", ${mutedUntil('c.id', '$2')} as "mutedUntil",
      ${isPeerErased('c')} as "isPeerErased"
    from chats c left join members m on m.chat_id = c.id and m.user_id = $2
    where c.id = $1`,
    values: [chatId, asker.userId],
  });
  if (rows[0] === undefined) throw hidden();
  const { role, visibleFrom: firstSeen, isBlocked, mutedUntil: until, isPeerErased: isAlone, ...chat } = rows[0];
  if (firstSeen === null) throw hidden();
  const access = { role, visibleFrom: firstSeen, isBlocked, mutedUntil: until, isPeerErased: isAlone === true };
  return { asker, chat, access: { type: chat.type, ...access } };
}

function hidden(): NotFound {
  return new NotFound('There is no such chat.');
}

/**
 * Converts the error of a statement that could not lock a chat, or that would have left it without an owner, into the
 * error for the client. Returns any other error unchanged.
 */
export function explainChatLock(error: unknown): unknown {
  // lock_not_available
  if (sqlStateOf(error) === '55P03')
    return new RateLimited('Another change to this chat is in progress: try again.', 1);
  if (constraintOf(error) === 'a_chat_keeps_an_owner') {
    return new LastOwner('You are the last owner of this chat: make another member an owner first.');
  }
  return error;
}
