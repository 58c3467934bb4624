import type { Db } from '../postgres/client.ts';
import { isBlockedIn } from '../people/block.ts';
import { isRestricted } from '../postgres/restriction.ts';
import type { Asker } from '../core/asker.ts';
import { head } from '../log/event-log.ts';
import type { TypingChannel } from '../live/typing-channel.ts';

/**
 * Notifies the other members of a chat that the asker is typing, if it is time for another notice (`isDue`). Uses Redis
 * (`channel`) if it is available, and PostgreSQL otherwise. Nothing is stored, so the commit does not wait for the
 * disk. Returns false if the asker may not write because they are not a member, or are blocked or muted. Raw SQL, so
 * that one statement checks, notifies, and reads the log's last position in one snapshot.
 */
export async function startTyping(
  db: Db,
  asker: Asker,
  { chatId, isDue, channel }: { chatId: bigint; isDue: boolean; channel: TypingChannel | null },
): Promise<boolean> {
  const isByRedis = isDue && channel?.isOpen === true;
  const { rows } = await db.pool.query<{ place: bigint | null }>({
    name: 'start_typing',
    text: `select case when $4 then ${head} end as place,
      case when $3 then set_config('synchronous_commit', 'off', true) end,
      case when $3 then ring_bell('parley_typing', $1::bigint || '.' || $2::bigint) end
    from members m join chats c on c.id = m.chat_id cross join event_log l
    where m.chat_id = $1 and m.user_id = $2 and not ${isBlockedIn('c', 'm.user_id')}
      and not ${isRestricted('MUTE', 'm.chat_id', 'm.user_id')}`,
    values: [chatId, asker.userId, isDue && !isByRedis, isByRedis],
  });
  const place = rows[0]?.place ?? null;
  if (place !== null) channel?.send({ chatId, userId: asker.userId, place });
  return rows.length === 1;
}
