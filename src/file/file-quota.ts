import type { Queryable } from '../postgres/client.ts';
import { advisoryLocks } from '../postgres/advisory-lock.ts';
import { TooLarge } from '../errors.ts';
import type { Asker } from '../core/asker.ts';

/** Whoever adds to what a person has stored takes turns, until the transaction ends. */
export async function lockStorage(client: Queryable, asker: Asker): Promise<void> {
  await client.query('select pg_advisory_xact_lock($1, storage_lock($2))', [
    advisoryLocks['personal storage'],
    asker.userId,
  ]);
}

/**
 * The same bytes twice count twice: what somebody may upload doesn't tell what others have. Partial uploads count with
 * what is reserved for them.
 */
export async function countStoredBytes(client: Queryable, asker: Asker): Promise<number> {
  const { rows } = await client.query<{ bytes: number }>({
    name: 'stored_bytes',
    text: 'select stored_bytes($1)::float8 as bytes',
    values: [asker.userId],
  });
  return rows[0]?.bytes ?? 0;
}

/** Says how many bytes a person may have stored. */
export function overQuota(quotaBytes: number): TooLarge {
  return new TooLarge(`Your files may take up at most ${quotaBytes} bytes in total: delete some first.`);
}

/** Says how many bytes a file may have. */
export function overLimit(maxBytes: number): TooLarge {
  return new TooLarge(`A file may be at most ${maxBytes} bytes long.`);
}
