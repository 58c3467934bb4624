import { setTimeout as sleep } from 'node:timers/promises';
import type { Db } from './client.ts';
import type { LimitedQuery } from './connection.ts';

/**
 * Creates a function that checks whether the database answers within `limitMs` and accepts writes. A standby or a
 * read-only primary does not accept them. Concurrent calls share one query, so that queries don't pile up on a database
 * that hangs. A connection that does not answer is closed.
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
