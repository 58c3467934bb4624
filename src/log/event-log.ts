import type pg from 'pg';
import type { Queryable } from '../postgres/client.ts';
import type { LimitedQuery } from '../postgres/connection.ts';
import { readFingerprint } from '../postgres/installation.ts';
import { formatCursor } from './cursor.ts';
import { eventColumns, type LoggedEvent } from './event.ts';

/** The range of the log. The events with ids in (prunedThrough, head] can be replayed. */
export type Extent = { head: bigint; prunedThrough: bigint };

/** The range of the log, and whether a given position exists in the log. */
export type LogPlace = Extent & { isKnown: boolean };

/** A stretch of the log, oldest event first. `prunedThrough` comes from the same snapshot as the events. */
export type Stretch = { events: LoggedEvent[]; prunedThrough: bigint };

/**
 * Returns an SQL expression, for statements that read `event_log l`, for whether the position `id` exists in the log.
 * Every position that was ever issued belongs to an event, which may have been pruned since, or is the beginning of the
 * log. Any other id was lost in a restore and will never be issued again (leap_after_start). `offset 0` makes
 * PostgreSQL use an index lookup for each reader. Otherwise, PostgreSQL may hash the whole log.
 */
export const isKnown = (id: string) =>
  `(${id} <= l.pruned_through or exists (select from events k where k.id = ${id} offset 0)) as "isKnown"`;

/**
 * An SQL expression, for statements that read `event_log l`, for the newest id. If all events have been pruned from a
 * log, the log still records the last id.
 */
export const head = `greatest((select coalesce(max(id), 0) from events), l.pruned_through)`;

/**
 * Returns a name for the history of this database, as 12 hexadecimal digits. The name depends on the cluster, its
 * timeline (which changes after a fail-over or a point-in-time recovery), the database and its log (both of which
 * change after a drop and a restore). The name stays the same when the files of the cluster are restored from a copy,
 * but `isKnown` detects that case.
 */
export function readEpoch(pool: Queryable): Promise<string> {
  const timeline = 'left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)';
  return readFingerprint(pool, `s.system_identifier, ${timeline}, d.oid, d.datname, 'events'::regclass::oid`);
}

/** Reads the current range of the log. */
export async function readExtent(pool: pg.Pool): Promise<Extent> {
  const { rows } = await pool.query<Extent>(
    `select ${head} as head, l.pruned_through as "prunedThrough" from event_log l`,
  );
  return rows[0] ?? { head: 0n, prunedThrough: 0n };
}

/** Reads the current range of the log, and whether `id` is a position in this history. */
export async function readLogPlace(pool: Queryable, id: bigint): Promise<LogPlace> {
  const { rows } = await pool.query<LogPlace>(
    `select ${head} as head, l.pruned_through as "prunedThrough", ${isKnown('$1')} from event_log l`,
    [id],
  );
  return rows[0] ?? { head: 0n, prunedThrough: 0n, isKnown: false };
}

/** The maximum number of events up to which a lag is counted. */
const maxCountedLag = 100_000;

/**
 * Returns how many events come after a position, counted up to 100,001, and the age of the oldest of them in seconds (0
 * if there are none). For monitoring.
 */
export async function readFeedLag(pool: Queryable, position: bigint): Promise<{ events: number; seconds: number }> {
  const { rows } = await pool.query<{ events: number; seconds: number }>(
    `select count(*)::int as events,
      coalesce(greatest(extract(epoch from clock_timestamp() - min(at)), 0), 0)::float8 as seconds
    from (select at from events where id > $1 order by id limit $2) missing`,
    [position, maxCountedLag + 1],
  );
  return rows[0] ?? { events: 0, seconds: 0 };
}

/** Returns the newest cursor of the log, for a process that does not follow the log. */
export async function readCursor(pool: pg.Pool): Promise<string> {
  const [epoch, { head: id }] = await Promise.all([readEpoch(pool), readExtent(pool)]);
  return formatCursor({ epoch, id });
}

/**
 * The time limit for reading the next events, in ms. The limit is short because all live events wait for this read, so
 * a connection that does not answer must be abandoned quickly.
 */
const nextLimitMs = 4_000;

/** Returns the next events after `after`, regardless of their audience. The feed reads them once per process. */
export async function readNext(pool: Queryable, after: bigint, limit: number): Promise<Stretch> {
  const question: LimitedQuery = {
    name: 'events_next',
    text: `select l.pruned_through as "prunedThrough", e.*
    from event_log l
    left join lateral (
      select ${eventColumns} from events e where e.id > $1 order by e.id limit $2
    ) e on true
    order by e.id`,
    values: [after, limit],
    limitMs: nextLimitMs,
  };
  const { rows } = await pool.query<StretchRow>(question);
  return toStretch(rows);
}

/**
 * Returns the ids of the messages that the next events after `after` are about, each id once. Considers only events of
 * the given kinds. `last` is the newest event that was read, or null if there is none. This costs a tenth as much as
 * reading the events themselves.
 */
export async function readNextMessages(
  pool: Queryable,
  { after, limit, kinds }: { after: bigint; limit: number; kinds: readonly string[] },
): Promise<{ last: bigint | null; count: number; messageIds: bigint[]; prunedThrough: bigint }> {
  const question: LimitedQuery = {
    name: 'messages_next',
    text: `select l.pruned_through as "prunedThrough", e.* from event_log l cross join (
      select max(id) as last, count(*)::int as count,
        coalesce(array_agg(distinct message_id) filter (where message_id is not null and kind = any ($3)), '{}') as ids
      from (select id, kind, message_id from events where id > $1 order by id limit $2) next
    ) e`,
    values: [after, limit, kinds],
    limitMs: nextLimitMs,
  };
  const { rows } = await pool.query<{ last: bigint | null; count: number; ids: string[]; prunedThrough: bigint }>(
    question,
  );
  const { ids = [], ...rest } = rows[0] ?? { last: null, count: 0, prunedThrough: 0n };
  return { ...rest, messageIds: ids.map(BigInt) };
}

/**
 * One of the rows that make up a stretch. A stretch without events still has one row, which contains the data about the
 * log itself.
 */
type StretchRow = { prunedThrough: bigint } & (LoggedEvent | { [Key in keyof LoggedEvent]: null });

/** Returns the stretch that these rows make up. */
function toStretch(rows: StretchRow[]): Stretch {
  const events = rows.filter((row): row is { prunedThrough: bigint } & LoggedEvent => row.id !== null);
  return { events, prunedThrough: rows[0]?.prunedThrough ?? 0n };
}
