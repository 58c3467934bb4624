import type { Db } from '../postgres/client.ts';
import { isBlockedIn } from '../people/block.ts';
import type { Asker } from '../core/asker.ts';

/**
 * Tells the other members of a chat that the viewer is writing, if it is time to tell them (`isDue`). Nothing is stored:
 * it goes out as a notification alone, and nobody waits for a disk. False when the viewer is no member there, or blocked.
 * As SQL: `pg_notify` and the check in one statement.
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
    where m.chat_id = $1 and m.user_id = $2 and not ${isBlockedIn('c', 'm.user_id')}`,
    values: [chatId, asker.userId, isDue],
  });
  return rowCount === 1;
}
