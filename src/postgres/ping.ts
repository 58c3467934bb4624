import { setTimeout as sleep } from 'node:timers/promises';
import type { Db } from './client.ts';

/**
 * Asks whether the database answers within `limitMs`. Whoever asks while a question is under way shares its answer, so
 * that a database that hangs does not have questions piling up before it.
 */
export function createPing({ pool }: Db, limitMs: number): () => Promise<boolean> {
  let underWay: Promise<boolean> | null = null;
  const ask = async () => {
    const answer = pool.query('select 1').then(
      () => true,
      () => false,
    );
    const isAnswered = await Promise.race([answer, sleep(limitMs, false, { ref: false })]);
    underWay = null;
    return isAnswered;
  };
  return () => (underWay ??= ask());
}
