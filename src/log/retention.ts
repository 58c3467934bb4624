import type pg from 'pg';
import { advisoryLocks } from '../postgres/advisory-lock.ts';

/** Two nodes must not prune at the same time, so a second node that finds that the lock is taken does nothing. */
const pruningLock = advisoryLocks['event pruning'];

/**
 * Deletes up to `limit` of the oldest events, if they are older than `retentionMs`, and returns how many it deleted.
 * Only the beginning of the log is deleted. The same transaction records the last deleted event, so that a cursor into
 * the deleted part is recognised. An event that was written before an old event counts as old, even if its timestamp
 * says otherwise. Returns 0 while another node is pruning.
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
