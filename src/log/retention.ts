import type pg from 'pg';
import { advisoryLocks } from '../postgres/advisory-lock.ts';

/** Two nodes must not prune at once: the second finds the lock taken and lets it be. */
const pruningLock = advisoryLocks['event pruning'];

/**
 * Takes the oldest events out of the log, up to `limit` of them, as far as they are older than `retentionMs`; says
 * how many. Only a prefix goes, and in the same transaction the log remembers how far, so that a cursor that points
 * into what is gone is known as such. An event that was written before one that is old is old too, whatever the clock
 * said at the time. 0 when another node is at it.
 */
export async function pruneEvents(pool: pg.Pool, retentionMs: number, limit: number): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `with free as materialized (
      select pg_try_advisory_xact_lock(${pruningLock}) as is_ours
    ), oldest as materialized (
      select e.id, e.at from free cross join lateral (select id, at from events order by id limit $2) e where free.is_ours
    ), prefix as (
      select max(id) as through from oldest where at < clock_timestamp() - $1::bigint * interval '1 millisecond'
    ), remembered as (
      update event_log set pruned_through = greatest(pruned_through, prefix.through)
      from prefix where prefix.through is not null
    ), forgotten as (
      delete from event_recipients using prefix where event_id <= prefix.through
    ), gone as (
      delete from events using prefix where id <= prefix.through returning 1
    )
    select count(*)::int as count from gone`,
    [retentionMs, limit],
  );
  return rows[0]?.count ?? 0;
}
