import type { Db } from '../postgres/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { pairOne } from '../postgres/pairing.ts';
import { unnest } from '../postgres/unnest.ts';

/** A chat as of an event of the log. */
type ChatInEvent = { chatId: bigint; eventId: bigint };

/**
 * The maximum number of later events of a chat that are examined. If there are that many later events, the chat is
 * treated as a chat to which some user has lost access.
 */
const maxLaterEvents = 100;

/**
 * Loads the seq from which everyone who receives an event of a chat may see the chat's messages, including the newest
 * ones; null if someone may have lost access to the chat since the event. Such users still receive the event. They must
 * not see what was written after their removal, although objects are shown in the state that they have at the time of
 * delivery.
 */
export const sharedFromOf = defineLoader({
  load: readSharedFrom,
  keyOf: ({ chatId, eventId }: ChatInEvent) => `${chatId} ${eventId}`,
});

/**
 * Raw SQL, because this runs when events are rendered, for many chats in one statement. The later events are a range of
 * the index on (chat_id, id), which is empty or short when an event is delivered live.
 */
async function readSharedFrom({ pool }: Db, chats: readonly ChatInEvent[]): Promise<(number | null)[]> {
  const { rows } = await pool.query<{ index: number; seq: number | null }>({
    name: 'shared_from',
    text: `select place.index::int as index, case
      when later.count = ${maxLaterEvents} or later.has_loss then null
      when c.type = 'PUBLIC_CHANNEL' then 1
      else coalesce((
        select max(m.visible_from_seq) from members m where m.chat_id = c.id and m.visible_from_seq > 1), 1) end as seq
    from ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as place (chat_id, event_id, index)
    join chats c on c.id = place.chat_id
    cross join lateral (
      select count(*) as count, bool_or(kind in ('RemoveFromChat', 'BanStarted', 'ChatUpdated')) as has_loss
      from (
        select kind from events where chat_id = place.chat_id and id > place.event_id order by id limit ${maxLaterEvents}
      ) few
    ) later`,
    values: [chats.map(({ chatId }) => chatId), chats.map(({ eventId }) => eventId)],
  });
  return pairOne(rows, chats, { value: ({ seq }) => seq, missing: null });
}
