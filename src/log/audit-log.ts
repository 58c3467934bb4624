import type pg from 'pg';

/** The database keeps every entry for at least 30 days (`keep_audit_log`). In ms. */
export const minAuditRetentionMs = 30 * 24 * 60 * 60 * 1_000;

/**
 * Deletes up to `limit` of the oldest audit entries, if they are older than `retentionMs`, and returns how many. The
 * database allows only the oldest to be deleted, and none that is younger than 30 days.
 */
export async function pruneAuditEntries(pool: pg.Pool, retentionMs: number, limit: number): Promise<number> {
  // Deletes the entries before the first one that must stay.
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
