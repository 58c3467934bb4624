import type { Db } from '../postgres/client.ts';
import { isBlockedIn } from '../people/block.ts';
import { isRestricted } from '../postgres/restriction.ts';
import type { Asker } from '../core/asker.ts';

/**
 * Notifies the other members of a chat that the asker is typing, if a notice is due (`isDue`). Nothing is stored: it is
 * only a notification, so the commit does not wait for the disk. Returns false if the asker may not write: they are not
 * a member, or are blocked or muted. Raw SQL: one statement checks and notifies.
 */
export async function startTyping(
  db: Db,
  asker: Asker,
  { chatId, isDue }: { chatId: bigint; isDue: boolean },
): Promise<boolean> {
  const { rowCount } = await db.pool.query({
    name: 'start_typing',
    text: `select case when $3 then set_config('synchronous_commit', 'off', true) end,
      case when $3 then ring_bell('parley_typing', $1::bigint || '.' || $2::bigint) end
    from members m join chats c on c.id = m.chat_id
    where m.chat_id = $1 and m.user_id = $2 and not ${isBlockedIn('c', 'm.user_id')}
      and not ${isRestricted('MUTE', 'm.chat_id', 'm.user_id')}`,
    values: [chatId, asker.userId, isDue],
  });
  return rowCount === 1;
}
