import { Forbidden } from '../errors.ts';
import type { Queryable } from '../postgres/client.ts';
import { isCurrent, isRestricted } from '../postgres/restriction.ts';
import { unnest } from '../postgres/unnest.ts';

/**
 * Throws Forbidden, with the end of the ban and the reason, if the user is banned from the chat. A ban hides the chat,
 * so call this function only if the user may know that the chat exists. With `isPublic`, only bans from public channels
 * count.
 */
export async function refuseBanned(
  client: Queryable,
  userId: bigint,
  { chatId, isPublic }: { chatId: bigint; isPublic: boolean },
): Promise<void> {
  // Raw SQL, like the next statement, to use the database's clock.
  const { rows } = await client.query<{ until: Date | null; reason: string | null }>(
    `select r.until, r.reason from restrictions r join chats c on c.id = r.chat_id
    where r.chat_id = $1 and r.user_id = $2 and r.kind = 'BAN' and ${isCurrent('r')}
      and ($3 = false or c.type = 'PUBLIC_CHANNEL')`,
    [chatId, userId, isPublic],
  );
  if (rows[0] !== undefined) throw new Forbidden('You are banned from this chat.', rows[0]);
}

/** Throws Forbidden if any of these users is banned from the chat, without naming the user. */
export async function refuseBannedPeople(client: Queryable, chatId: bigint, userIds: readonly bigint[]): Promise<void> {
  if (userIds.length === 0) return;
  const { rowCount } = await client.query(
    `select from ${unnest('$2::bigint[]')} as person (id) where ${isRestricted('BAN', '$1', 'person.id')} limit 1`,
    [chatId, userIds],
  );
  if (rowCount !== 0) throw new Forbidden('One of these people is banned from this chat: lift the ban first.');
}
