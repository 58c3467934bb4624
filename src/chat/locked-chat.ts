import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import type { Chat, MemberRole } from '../postgres/generated/prisma/client.ts';
import { columns } from '../postgres/columns.ts';
import { constraintOf, sqlStateOf } from '../postgres/sql-state.ts';
import { visibleFrom } from './visibility.ts';
import { Forbidden, LastOwner, NotFound, RateLimited } from '../errors.ts';
import { may, type Action } from './permission.ts';
import type { Asker } from '../core/asker.ts';

/** A chat whose row this transaction holds, and the viewer's role in it: null for one who only reads it. */
export type HeldChat = { chat: Chat; role: MemberRole | null };

/**
 * Runs `work` in a transaction that holds the chat's row, by which all take turns who change the chat, its members or
 * its messages: what it finds stays so until it is committed. NotFound hides a chat that the viewer cannot see;
 * LastOwner when the database refuses to leave the chat's members without an owner; RateLimited when somebody else
 * (psql in an open transaction) holds the chat for longer than it can be waited for.
 */
export async function inChat<T>(
  db: Db,
  { asker, chatId }: { asker: Asker; chatId: bigint },
  work: (client: Queryable, held: HeldChat) => Promise<T>,
): Promise<T> {
  try {
    return await inTransaction(db, async (client) => work(client, await holdChat(client, asker, chatId)));
  } catch (error) {
    throw explain(error);
  }
}

/** Throws Forbidden, with the reason, unless the viewer may do that here. `targetRole` is that of whom it is done to. */
export function requireMay(action: Action, { chat, role }: HeldChat, targetRole: MemberRole | null = null): void {
  if (may(action, { type: chat.type, role }, targetRole)) return;
  if (chat.type === 'SINGLE') throw new Forbidden('A single chat stays as it is: of its two people, without roles.');
  if (role === null) throw new Forbidden('You are not a member of this chat.');
  if (action === 'joinChat') throw new Forbidden('Only public channels are joined.');
  throw new Forbidden(`Your role in this chat, ${role}, does not allow that.`);
}

/** The chat as it is by now. */
export async function readHeldChat(client: Queryable, { chat }: HeldChat): Promise<Chat> {
  const { rows } = await client.query<Chat>({
    name: 'held_chat',
    text: `select ${columns.chat('c')} from chats c where c.id = $1`,
    values: [chat.id],
  });
  if (rows[0] === undefined) throw new Error('a chat went while it was held');
  return rows[0];
}

/** Its members hear ChatDeleted and nothing else. A chat of millions of messages takes minutes to go. */
export async function deleteHeldChat(client: Queryable, { chat }: HeldChat): Promise<void> {
  await client.query(`set local statement_timeout = '15min'`);
  await client.query('delete from chats where id = $1', [chat.id]);
}

async function holdChat(client: Queryable, asker: Asker, chatId: bigint): Promise<HeldChat> {
  await client.query(`set local lock_timeout = '5s'`);
  await client.query('select from chats where id = $1 for no key update', [chatId]);
  // In a statement of its own: the one that waited still sees the members as they were when it began to wait.
  const { rows } = await client.query<Chat & { viewerRole: MemberRole | null; isVisible: boolean }>({
    name: 'hold_chat',
    text: `select ${columns.chat('c')}, m.role as "viewerRole", ${visibleFrom('c', '$2')} is not null as "isVisible"
    from chats c left join members m on m.chat_id = c.id and m.user_id = $2
    where c.id = $1`,
    values: [chatId, asker.userId],
  });
  if (rows[0]?.isVisible !== true) throw new NotFound('There is no such chat.');
  const { viewerRole, isVisible: _, ...chat } = rows[0];
  return { chat, role: viewerRole };
}

function explain(error: unknown): unknown {
  // lock_not_available
  if (sqlStateOf(error) === '55P03')
    return new RateLimited('This chat is being changed by somebody else: try again.', 1);
  if (constraintOf(error) === 'a_chat_keeps_an_owner') {
    return new LastOwner('A chat keeps an owner as long as others are in it: make somebody else one first.');
  }
  return error;
}
