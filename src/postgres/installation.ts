import { createHash } from 'node:crypto';
import type { Queryable } from './client.ts';

/**
 * Returns a short name for this database, which is the same for all nodes and after a failover. The nodes use it as a
 * prefix for everything that they share elsewhere, such as in Redis, so that two installations can use the same Redis.
 */
export function readInstallation(pool: Queryable): Promise<string> {
  return readFingerprint(pool, 's.system_identifier, d.oid, d.datname');
}

/**
 * Returns a hash, of 12 hexadecimal digits, of the values that identify a database. `columns`: SQL expressions over
 * `pg_control_system() s` and the database's row in `pg_database d`.
 */
export async function readFingerprint(pool: Queryable, columns: string): Promise<string> {
  const { rows } = await pool.query<{ identity: string }>(
    `select concat_ws('/', ${columns}) as identity
    from pg_control_system() s, pg_database d
    where d.datname = current_database()`,
  );
  return createHash('sha256')
    .update(rows[0]?.identity ?? '')
    .digest('hex')
    .slice(0, 12);
}
