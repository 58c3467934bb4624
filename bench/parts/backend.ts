import type { Database } from '../database.ts';
import { cpuMs } from '../process.ts';

/** The CPU time of PostgreSQL on the nodes' connections to this database, in ms; the benchmark's own are left out. */
export async function nodeBackendsMs({ sql }: Database): Promise<number> {
  const { rows } = await sql.query<{ pid: number }>(
    `select pid from pg_stat_activity
    where datname = current_database() and application_name like 'parley%'`,
  );
  return rows.reduce((sum, { pid }) => sum + cpuMs(pid), 0);
}
