import { setTimeout as sleep } from 'node:timers/promises';
import type { Db } from './client.ts';
import type { LimitedQuery } from './connection.ts';

/**
 * Asks whether the database answers within `limitMs`, and takes writes: a standby, and a primary that only reads, does
 * not. Whoever asks while a question is under way shares its answer, so that a database that hangs does not have questions
 * piling up before it; a connection that does not answer is given up.
 */
export function createPing({ pool }: Db, limitMs: number): () => Promise<boolean> {
  let underWay: Promise<boolean> | null = null;
  const ask = async () => {
    const question: LimitedQuery = {
      text: `select not (pg_is_in_recovery() or current_setting('transaction_read_only')::boolean) as "isWritable"`,
      limitMs: 3 * limitMs,
    };
    const answer = pool.query<{ isWritable: boolean }>(question).then(
      ({ rows }) => rows[0]?.isWritable === true,
      () => false,
    );
    const isWritable = await Promise.race([answer, sleep(limitMs, false, { ref: false })]);
    underWay = null;
    return isWritable;
  };
  return () => (underWay ??= ask());
}
