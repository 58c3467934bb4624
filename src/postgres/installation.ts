import { createHash } from 'node:crypto';
import type pg from 'pg';

/**
 * A short name of this database, the same for all nodes and after a failover: what the nodes share elsewhere, such as
 * in Redis, is kept under it, so that two installations can share a Redis.
 */
export async function readInstallation(pool: pg.Pool): Promise<string> {
  const { rows } = await pool.query<{ place: string }>(
    `select concat_ws('/', s.system_identifier, d.oid, d.datname) as place
    from pg_control_system() s, pg_database d
    where d.datname = current_database()`,
  );
  return createHash('sha256')
    .update(rows[0]?.place ?? '')
    .digest('hex')
    .slice(0, 12);
}
