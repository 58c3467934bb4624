import type { Database } from '../database.ts';
import { cpuMs } from '../process.ts';

/**
 * The CPU time that PostgreSQL spends on the nodes' connections to this database, in ms, excluding the benchmark's own
 * connections.
 */
export async function nodeBackendsMs({ sql }: Database): Promise<number> {
  const { rows } = await sql.query<{ pid: number }>(
    `select pid from pg_stat_activity
    where datname = current_database() and application_name like 'parley%'`,
  );
  return rows.reduce((sum, { pid }) => sum + cpuMs(pid), 0);
}
