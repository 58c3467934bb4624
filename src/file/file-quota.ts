import type { Queryable } from '../postgres/client.ts';
import { advisoryLocks } from '../postgres/advisory-lock.ts';
import { TooLarge } from '../errors.ts';
import type { Asker } from '../core/asker.ts';

/** Serialises the transactions that add to a user's stored bytes. Raw SQL: an advisory lock. */
export async function lockStorage(client: Queryable, asker: Asker): Promise<void> {
  await client.query('select pg_advisory_xact_lock($1, storage_lock($2))', [
    advisoryLocks['personal storage'],
    asker.userId,
  ]);
}

/**
 * How many bytes the asker has stored. The same bytes twice count twice, so that a quota does not reveal which bytes
 * other users have. A partial upload counts as the bytes that are reserved for it. Raw SQL: a function of the
 * database, which `add_files` also calls.
 */
export async function countStoredBytes(client: Queryable, asker: Asker): Promise<number> {
  const { rows } = await client.query<{ bytes: number }>({
    name: 'stored_bytes',
    text: 'select stored_bytes($1)::float8 as bytes',
    values: [asker.userId],
  });
  return rows[0]?.bytes ?? 0;
}

/** The error that says how many bytes a user can store. */
export function overQuota(quotaBytes: number): TooLarge {
  return new TooLarge(`Your files may take up at most ${quotaBytes} bytes in total: delete some first.`);
}

/** The error that says how many bytes a file can have. */
export function overLimit(maxBytes: number): TooLarge {
  return new TooLarge(`A file may be at most ${maxBytes} bytes long.`);
}
