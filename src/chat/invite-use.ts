import type { Asker } from '../core/asker.ts';
import { NotFound } from '../errors.ts';
import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import { orGone } from '../postgres/foreign-key.ts';
import type { Chat } from '../postgres/generated/prisma/client.ts';
import { refuseBanned } from './ban-refusal.ts';
import { requireVisibleChat } from './chat.ts';
import { findInviteByCode, isUsable } from './invite.ts';
import { holdChat } from './locked-chat.ts';

/**
 * Makes the asker a member of the chat that the invite leads to, and returns the chat. All members receive AddToChat.
 * If the asker is already a member, nothing changes and no use is counted. Returns null for an invite to the server
 * alone, because the asker is already on the server. Throws NotFound for an invite that is not usable, and Forbidden,
 * with the end of the ban and the reason, for a banned user.
 */
export async function joinByInvite(db: Db, asker: Asker, code: string): Promise<Chat | null> {
  const invite = await findInviteByCode(db.pool, code);
  if (invite === null) throw unusable();
  const { chatId } = invite;
  if (chatId === null) return null;
  await inTransaction(db, (transaction) => useInvite(transaction, code, asker.userId), asker);
  return requireVisibleChat(db, asker, chatId);
}

/**
 * Consumes one use of an invite for a user who joins the server or a chat with it. The user becomes a member of the
 * invite's chat, if it has one. If the user is new, call this function in the transaction that creates the user. A new
 * member sees the part of the history that is the default for the chat's type, but never more than the creator of the
 * invite sees. Throws NotFound for an invite that is not usable, Forbidden for a user who is banned from the chat, and
 * RateLimited if another transaction keeps the chat locked.
 */
export async function useInvite(transaction: Queryable, code: string, userId: bigint): Promise<void> {
  const invite = await findInviteByCode(transaction, code);
  if (invite === null) throw unusable();
  const { id, chatId } = invite;
  if (chatId === null) await enterServer(transaction, id);
  else await enterChat(transaction, { inviteId: id, chatId, userId });
}

/** If several users try to consume the last use at the same time, the update admits only one of them. */
async function enterServer(client: Queryable, inviteId: bigint): Promise<void> {
  const { rowCount } = await client.query(
    `update invites i set uses_left = i.uses_left - 1 where i.id = $1 and ${isUsable('i')}`,
    [inviteId],
  );
  if (rowCount === 0) throw unusable();
}

async function enterChat(
  client: Queryable,
  { inviteId, chatId, userId }: { inviteId: bigint; chatId: bigint; userId: bigint },
): Promise<void> {
  await holdChat(client, chatId);
  // This is a separate statement, because the locking statement may have waited, and its snapshot shows the members as
  // they were before the wait.
  const member = await client.query('select from members where chat_id = $1 and user_id = $2', [chatId, userId]);
  if (member.rowCount === 1) return;
  await refuseBanned(client, userId, { chatId, isPublic: false });
  // Raw SQL, so that one statement counts the use and creates the membership.
  const entering = client.query(
    `with used as (
      update invites i set uses_left = i.uses_left - 1
      from chats c, members creator
      where i.id = $1 and c.id = i.chat_id and creator.chat_id = i.chat_id and creator.user_id = i.created_by_id
        and ${isUsable('i')}
      returning i.chat_id, case c.type
        when 'PUBLIC_CHANNEL' then 1
        when 'GROUP' then c.last_seq + 1
        else creator.visible_from_seq end as visible_from_seq
    )
    insert into members (chat_id, user_id, visible_from_seq) select chat_id, $2, visible_from_seq from used`,
    [inviteId, userId],
  );
  const { rowCount } = await orGone(entering, ['members_user_id_fkey']);
  if (rowCount === 0) throw unusable();
}

function unusable(): NotFound {
  return new NotFound('This invite does not exist or is no longer valid.');
}
