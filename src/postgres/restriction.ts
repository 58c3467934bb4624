import type pg from 'pg';

/**
 * Deletes up to `limit` restrictions that have ended, and returns how many. They have no effect any more, so this makes
 * neither an event nor an audit entry. Raw SQL: with `skip locked`, nodes that prune at the same time do not wait for
 * each other.
 */
export async function pruneRestrictions(pool: pg.Pool, limit: number): Promise<number> {
  const { rowCount } = await pool.query(
    `delete from restrictions where id = any (array(
      select id from restrictions where until < clock_timestamp() limit $1 for update skip locked))`,
    [limit],
  );
  return rowCount ?? 0;
}
