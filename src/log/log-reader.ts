import type pg from 'pg';
import type { LoggedEvent } from './event.ts';
import { head, type Extent } from './event-log.ts';
import { unnest } from '../postgres/unnest.ts';

/** The user and the session for which the log is read. */
export type LogReader = { userId: bigint; sessionId: bigint };

/**
 * A membership as the hub and the replay apply it: it includes events from `since` on, and messages from `visibleFrom`
 * on, or all messages while the chat is public (`isWhole`).
 */
export type Membership = { chatId: bigint; since: bigint; visibleFrom: number; isWhole: boolean };

/** A person's memberships as of the event `head`, and whether the session is still live. */
export type Snapshot = Extent & { memberships: Membership[]; isSessionLive: boolean };

/**
 * Returns an SQL expression that says whether a session is live and belongs to a user. Both parameters are SQL
 * expressions.
 */
export const isSessionLive = (userId: string, sessionId: string) =>
  `exists (select from sessions s where s.id = ${sessionId} and s.user_id = ${userId} offset 0) as "isSessionLive"`;

/** A bot's key is live only as long as the key's session for that bot; suspending the bot ends the session. */
export const isKeyLive = (keyId: string) =>
  `exists (select from api_keys k where k.id = ${keyId} and k.revoked_at is null
    and (k.expires_at is null or k.expires_at > clock_timestamp())
    and (k.bot_id is null or exists (
      select from sessions s where s.api_key_id = k.id and s.user_id = k.bot_id))) as "isSessionLive"`;

/** Reads the memberships of each person, and the id of the latest event that these memberships reflect. */
export async function readSnapshots(pool: pg.Pool, readers: readonly LogReader[]): Promise<Snapshot[]> {
  const { rows } = await pool.query<
    Omit<Snapshot, 'memberships'> & { memberships: [string, string, number, boolean][] }
  >({
    name: 'snapshot',
    text: `select l.head, l."prunedThrough",
      ${isSessionLive('reader.user_id', 'reader.session_id')}, coalesce((
      select jsonb_agg(jsonb_build_array(m.chat_id::text, coalesce(m.since_event, 0)::text, m.visible_from_seq,
        c.type = 'PUBLIC_CHANNEL'))
      from members m join chats c on c.id = m.chat_id where m.user_id = reader.user_id), '[]') as memberships
    from (select ${head} as head, l.pruned_through as "prunedThrough" from event_log l limit 1) l
    cross join ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as reader (user_id, session_id, index)
    order by reader.index`,
    values: [readers.map(({ userId }) => userId), readers.map(({ sessionId }) => sessionId)],
  });
  if (rows.length < readers.length) throw new Error('the table event_log has no row');
  return rows.map((row) => ({
    head: row.head,
    prunedThrough: row.prunedThrough,
    isSessionLive: row.isSessionLive,
    memberships: row.memberships.map(([chatId, since, visibleFrom, isWhole]) => ({
      chatId: BigInt(chatId),
      since: BigInt(since),
      visibleFrom,
      isWhole,
    })),
  }));
}

/** A membership and its user. */
export type AddedMember = Membership & { userId: bigint };

/** Reads the memberships of `userIds` that these events (NewChat, AddToChat) started and that still exist. */
export async function readAddedMembers(
  pool: pg.Pool,
  events: readonly LoggedEvent[],
  userIds: readonly bigint[],
): Promise<AddedMember[]> {
  const { rows } = await pool.query<AddedMember>({
    name: 'added_members',
    text: `select m.chat_id as "chatId", m.user_id as "userId", m.since_event as since, m.visible_from_seq as "visibleFrom",
      c.type = 'PUBLIC_CHANNEL' as "isWhole"
    from ${unnest('$1::bigint[]', '$2::bigint[]')} as added (chat_id, event_id)
    join members m on m.chat_id = added.chat_id and m.since_event = added.event_id and m.user_id = any ($3)
    join chats c on c.id = m.chat_id`,
    values: [events.map((event) => event.chatId), events.map((event) => event.id), userIds],
  });
  return rows;
}

/** The users whose rows are read: either these users, or all users, up to `limit` rows. */
export type AmongUsers = { userIds: readonly bigint[] } | { limit: number };

/** Reads the recipients of these events (ChatDeleted). */
export async function readRecipients(
  pool: pg.Pool,
  eventIds: readonly bigint[],
  of: AmongUsers,
): Promise<{ eventId: bigint; userId: bigint }[]> {
  const isOfSome = 'userIds' in of;
  const { rows } = await pool.query<{ eventId: bigint; userId: bigint }>({
    name: isOfSome ? 'event_recipients' : 'all_event_recipients',
    text: `select event_id as "eventId", user_id as "userId" from event_recipients
    where event_id = any ($1) ${isOfSome ? 'and user_id = any ($2)' : 'limit $2'}`,
    values: [eventIds, isOfSome ? of.userIds : of.limit],
  });
  return rows;
}

/** Reads the position where the log ends, and whether this API key is live. */
export async function readServerSnapshot(
  pool: pg.Pool,
  keyId: bigint,
): Promise<Pick<Snapshot, 'head' | 'isSessionLive'>> {
  const { rows } = await pool.query<Pick<Snapshot, 'head' | 'isSessionLive'>>({
    name: 'server_snapshot',
    text: `select ${head} as head, ${isKeyLive('$1')} from event_log l`,
    values: [keyId],
  });
  if (rows[0] === undefined) throw new Error('the table event_log has no row');
  return rows[0];
}
