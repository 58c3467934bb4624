import type pg from 'pg';

/** The minimum time for which the database keeps every entry (30 days, enforced by `keep_audit_log`). In ms. */
export const minAuditRetentionMs = 30 * 24 * 60 * 60 * 1_000;

/**
 * Deletes up to `limit` of the oldest audit entries, if they are older than `retentionMs`, and returns how many it
 * deleted. The database allows only the oldest entries to be deleted, and no entries that are younger than 30 days.
 */
export async function pruneAuditEntries(pool: pg.Pool, retentionMs: number, limit: number): Promise<number> {
  // Deletes the entries before the first entry that must stay.
  const { rowCount } = await pool.query(
    `with oldest as materialized (
      select id, created_at from audit_entries order by id limit $2
    ), bound as (
      select coalesce(
        min(id) filter (where created_at >= clock_timestamp() - $1::bigint * interval '1 millisecond'),
        max(id) + 1) as id
      from oldest
    )
    delete from audit_entries a using bound where a.id < bound.id`,
    [retentionMs, limit],
  );
  return rowCount ?? 0;
}
