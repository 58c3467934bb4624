import type pg from 'pg';
import { isRestricted } from '../postgres/restriction.ts';
import { eventColumns, serverAudiences, type LoggedEvent } from './event.ts';
import { isKnown, type Stretch } from './event-log.ts';
import { isKeyLive, isSessionLive, type LogReader } from './log-reader.ts';
import { unnest } from '../postgres/unnest.ts';

/**
 * The ids of the events that a reader missed, separated by commas. `MissedEvents` looks up the events themselves, so
 * that an event is read once for all readers that missed it. There may be more ids than the reader asked for. The same
 * snapshot shows whether the position where the stretch starts exists in the log, and whether the reader's session is
 * still live.
 */
export type MissedStretch = Omit<Stretch, 'events'> & { ids: string; isKnown: boolean; isSessionLive: boolean };

/**
 * A stretch of one chat. The same snapshot shows whether the reader may still see the chat, and whether the chat is
 * public.
 */
export type MissedChatStretch = MissedStretch & ChatAccess;

/** Whether a reader may see a chat, and whether it is public. */
export type ChatAccess = { hasAccess: boolean; isPublic: boolean };

/** Selects the events with ids in (after, through], but at most `limit` of them. */
export type Range = { after: bigint; through: bigint; limit: number };

/** A person, and the range of the log to read for that person. */
export type MissedKey = { reader: LogReader; range: Range };

/**
 * The FROM clause and the parameters of a statement that reads stretches for many people. `limit 1` tells
 * PostgreSQL that `event_log` has one row, even before the table has statistics.
 */
const ranges = {
  from: `(select pruned_through from event_log limit 1) l
    cross join ${unnest('$1::bigint[]', '$2::bigint[]', '$3::bigint[]', '$4::bigint[]')} with ordinality
    as reader (user_id, session_id, after_id, through_id, index)`,
  values: (keys: readonly MissedKey[]) => [
    keys.map(({ reader }) => reader.userId),
    keys.map(({ reader }) => reader.sessionId),
    keys.map(({ range }) => range.after),
    keys.map(({ range }) => range.through),
    Math.max(...keys.map(({ range }) => range.limit)),
  ],
};

/**
 * Reads the ids of the events that each person missed. In each chat, these are the events since the person became a
 * member, as far as the history that the person sees includes them. Also reads all events addressed to the person, and
 * the events about users who share a chat with the person. For each chat and each way of addressing a person, an index
 * yields the oldest events, up to the limit. The statement returns the oldest of all of these.
 */
export async function readMissed(pool: pg.Pool, keys: readonly MissedKey[]): Promise<MissedStretch[]> {
  const { rows } = await pool.query<MissedRow>({
    name: 'events_missed',
    text: `select l.pruned_through as "prunedThrough", ${isKnown('reader.after_id')},
      ${isSessionLive('reader.user_id', 'reader.session_id')}, e.ids
    from ${ranges.from}
    cross join lateral (
      select ${idList} from (select e.id from (
        (select e.* from members m join chats c on c.id = m.chat_id
        cross join lateral (
          select e.id from events e
          where e.chat_id = m.chat_id
            and e.id > greatest(reader.after_id, coalesce(m.since_event, 1) - 1) and e.id <= reader.through_id
            and e.audience <> 'PERSON' and e.user_id is distinct from reader.user_id
            and (e.seq is null or c.type = 'PUBLIC_CHANNEL' or e.seq >= m.visible_from_seq)
          order by e.id limit $5
        ) e
        where m.user_id = reader.user_id)
        union all
        (select e.id from events e
        where e.user_id = reader.user_id and e.id > reader.after_id and e.id <= reader.through_id
        order by e.id limit $5)
        union all
        (select e.id from events e
        where e.audience = 'ACQUAINTANCES' and e.id > reader.after_id and e.id <= reader.through_id
          and e.user_id <> reader.user_id
          and exists (
            select from members theirs join members ours on ours.chat_id = theirs.chat_id
            where theirs.user_id = e.user_id and ours.user_id = reader.user_id
              and coalesce(ours.since_event, 1) <= e.id)
        order by e.id limit $5)
        union all
        (select e.id from event_recipients r join events e on e.id = r.event_id
        where r.user_id = reader.user_id and r.event_id > reader.after_id and r.event_id <= reader.through_id
        order by r.event_id limit $5)
      ) e order by e.id limit $5) e
    ) e
    order by reader.index`,
    values: ranges.values(keys),
  });
  return keys.map((_, index) => toStretch(rows[index]));
}

/** A person, and the range of the log to read for that person in one chat. */
export type MissedChatKey = MissedKey & { chatId: bigint };

/**
 * Reads the ids of the events that each person missed in one chat. A member of a group, a single chat or a private
 * channel gets the events that their membership includes. A public channel is fully visible to everyone who is not
 * banned from it.
 */
export async function readMissedInChats(pool: pg.Pool, keys: readonly MissedChatKey[]): Promise<MissedChatStretch[]> {
  const { rows } = await pool.query<MissedRow & { hasAccess: boolean; isPublic: boolean | null }>({
    name: 'events_missed_in_chat',
    text: `select l.pruned_through as "prunedThrough", ${isKnown('reader.after_id')},
      ${isSessionLive('reader.user_id', 'reader.session_id')},
      access.chat_id is not null as "hasAccess",
      access.is_public as "isPublic", e.ids
    from ${ranges.from}
    join ${unnest('$6::bigint[]')} with ordinality as wanted (chat_id, index) on wanted.index = reader.index
    left join lateral (
      select c.id as chat_id, c.type = 'PUBLIC_CHANNEL' as is_public,
        case when c.type = 'PUBLIC_CHANNEL' then 0 else coalesce(m.since_event, 0) end as since_event,
        case when c.type = 'PUBLIC_CHANNEL' then 1 else m.visible_from_seq end as visible_from_seq
      from chats c left join members m on m.chat_id = c.id and m.user_id = reader.user_id
      where c.id = wanted.chat_id and (m.user_id is not null
        or c.type = 'PUBLIC_CHANNEL' and not ${isRestricted('BAN', 'c.id', 'reader.user_id')})
    ) access on true
    cross join lateral (
      select ${idList} from (select e.id from (
        (select e.id from events e
        where e.chat_id = access.chat_id
          and e.id > greatest(reader.after_id, access.since_event - 1) and e.id <= reader.through_id
          and (e.audience <> 'PERSON' or e.user_id = reader.user_id)
          and (e.seq is null or e.seq >= access.visible_from_seq)
        order by e.id limit $5)
        union all
        (select e.id from events e
        where e.audience = 'ACQUAINTANCES' and e.id > greatest(reader.after_id, access.since_event - 1)
          and e.id <= reader.through_id
          and exists (select from members m where m.chat_id = access.chat_id and m.user_id = e.user_id)
        order by e.id limit $5)
      ) e order by e.id limit $5) e
    ) e
    order by reader.index`,
    values: [...ranges.values(keys), keys.map(({ chatId }) => chatId)],
  });
  return keys.map((_, index) => ({
    ...toStretch(rows[index]),
    hasAccess: rows[index]?.hasAccess ?? false,
    isPublic: rows[index]?.isPublic ?? false,
  }));
}

/**
 * Reads the ids of the events from all chats and of the events about users, for a program that reads the whole server
 * with this API key.
 */
export async function readMissedOnServer(pool: pg.Pool, keyId: bigint, range: Range): Promise<MissedStretch> {
  const { rows } = await pool.query<MissedRow>({
    name: 'events_missed_on_server',
    text: `select l.pruned_through as "prunedThrough", ${isKnown('$2')}, ${isKeyLive('$1')}, e.ids
    from event_log l
    cross join lateral (
      select ${idList} from (select e.id from events e
      where e.id > $2 and e.id <= $3 and e.audience in (${serverAudiences.map((each) => `'${each}'`).join(', ')})
      order by e.id limit $4) e
    ) e`,
    values: [keyId, range.after, range.through, range.limit],
  });
  return toStretch(rows[0]);
}

/** A stretch of ids, stored in one row as a list of numbers, which is cheaper to parse than one row per id. */
type MissedRow = Omit<MissedStretch, 'ids'> & { ids: string | null };

const idList = `string_agg(e.id::text, ',' order by e.id) as ids`;

function toStretch(row: MissedRow | undefined): MissedStretch {
  const { prunedThrough = 0n, isKnown: known = false, isSessionLive: live = false, ids = null } = row ?? {};
  return { prunedThrough, isKnown: known, isSessionLive: live, ids: ids ?? '' };
}

/** Returns those events with these ids that are still stored, ordered by id. */
export async function readEvents(pool: pg.Pool, ids: readonly bigint[]): Promise<LoggedEvent[]> {
  const { rows } = await pool.query<LoggedEvent>({
    name: 'events_by_id',
    text: `select ${eventColumns} from events e where e.id = any ($1) order by e.id`,
    values: [ids],
  });
  return rows;
}
