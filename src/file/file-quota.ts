import type { Queryable } from '../postgres/client.ts';
import { advisoryLocks } from '../postgres/advisory-lock.ts';
import { TooLarge } from '../errors.ts';
import type { Asker } from '../core/asker.ts';

/**
 * Serialises the transactions that add to a user's stored bytes. Raw SQL, because Prisma cannot take an advisory lock.
 */
export async function lockStorage(client: Queryable, asker: Asker): Promise<void> {
  await client.query('select pg_advisory_xact_lock($1, storage_lock($2))', [
    advisoryLocks['personal storage'],
    asker.userId,
  ]);
}

/**
 * Returns how many bytes the asker has stored. Bytes that the asker stores twice count twice, so that the quota does
 * not reveal which bytes other users have. A partial upload counts as the bytes that are reserved for it. Raw SQL,
 * because it calls a database function that `add_files` also calls.
 */
export async function countStoredBytes(client: Queryable, asker: Asker): Promise<number> {
  const { rows } = await client.query<{ bytes: number }>({
    name: 'stored_bytes',
    text: 'select stored_bytes($1)::float8 as bytes',
    values: [asker.userId],
  });
  return rows[0]?.bytes ?? 0;
}

/** Creates the error that says how many bytes a user may store. */
export function overQuota(quotaBytes: number): TooLarge {
  return new TooLarge(`Your files may take up at most ${quotaBytes} bytes in total. Delete some files first.`);
}

/** Creates the error that says how large a file may be. */
export function overLimit(maxBytes: number): TooLarge {
  return new TooLarge(`A file may be at most ${maxBytes} bytes long.`);
}
