import { randomInt } from 'node:crypto';
import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import type { Chore } from '../core/housekeeping.ts';
import type { FileStore } from './store/store.ts';
import type { Report } from '../core/report.ts';

/** How long an upload waits for its message, a broken-off one for its end, and missing bytes for their return. */
const graceMs = 24 * 60 * 60_000;
const prefixCount = 256;

type Sweeping = { db: Db; store: FileStore };

/** What keeps the store and the tables in step; any node with access to the store may do it, also several at once. */
export function fileChores(sweeping: Sweeping, report: Report): Chore[] {
  let nextPrefix = randomInt(prefixCount);
  return [
    { name: 'forgotten uploads', clear: (limit) => sweepUnattached(sweeping, limit) },
    { name: 'loose bytes', clear: (limit) => sweepLoose(sweeping, limit) },
    {
      name: 'the file store',
      clear: async () => {
        await sweeping.store.sweepStaged(new Date(Date.now() - graceMs));
        const missing = await comparePrefix(sweeping, nextPrefix.toString(16).padStart(2, '0'));
        nextPrefix = (nextPrefix + 1) % prefixCount;
        if (missing > 0)
          report('error', 'files refer to bytes that are missing from the file store', { count: missing });
        return 0;
      },
    },
  ];
}

/** Deletes uploads that no message has taken in time, nor anybody as an avatar. Says how many. */
export async function sweepUnattached({ db }: Sweeping, limit: number): Promise<number> {
  const { rowCount } = await db.pool.query(
    `delete from files where id in (
      select id from files where message_id is null and not is_avatar and created_at < $1
      order by created_at limit $2 for update skip locked)`,
    [new Date(Date.now() - graceMs), limit],
  );
  return rowCount ?? 0;
}

/** Removes bytes to which no file refers any more, out of those that have lost one. Says how many it looked at. */
export async function sweepLoose({ db, store }: Sweeping, limit: number): Promise<number> {
  const { rows } = await db.pool.query<{ hash: string }>(
    `select encode(hash, 'hex') as hash from loose_blobs order by since limit $1`,
    [limit],
  );
  for (const { hash } of rows) {
    await inTransaction(db, async (client) => {
      await lockHash(client, hash);
      await client.query(`delete from loose_blobs where hash = decode($1, 'hex')`, [hash]);
      // Removed before the commit: what is left when we crash in between is a row, which is still looked at then.
      if ((await deleteUnusedBlob(client, hash)) === 'stored') await store.remove(hash);
    });
  }
  return rows.length;
}

/** Waits until nobody else keeps or removes the bytes with this hash; held until the transaction ends. */
async function lockHash(client: Queryable, hash: string): Promise<void> {
  await client.query('select lock_hashes(array[$1])', [hash]);
}

/** Says where the bytes were; null when they are still of use. */
async function deleteUnusedBlob(client: Queryable, hash: string): Promise<'inline' | 'stored' | null> {
  const { rows } = await client.query<{ place: 'inline' | 'stored' }>(
    `delete from blobs b where b.hash = decode($1, 'hex')
      and not exists (select from files f where f.blob_hash = b.hash)
      and not exists (select from thumbnails t where t.thumbnail_hash = b.hash)
    returning case when bytes is null then 'stored' else 'inline' end as place`,
    [hash],
  );
  return rows[0]?.place ?? null;
}

/**
 * Holds what the store has under these two hex digits against the rows: removes bytes without a row and those that a row
 * has inline, notes rows whose bytes are missing, and deletes those with their files when they have been missing for a
 * day: a disk that was not mounted may come back. Says how many are missing.
 */
export async function comparePrefix(sweeping: Sweeping, prefix: string): Promise<number> {
  const { db, store } = sweeping;
  // First the rows: what is kept meanwhile is then stored and unknown, and that is asked again under its lock.
  const { rows } = await db.pool.query<{ hash: string; missingSince: Date | null }>(
    `select encode(hash, 'hex') as hash, missing_since as "missingSince" from blobs
    where bytes is null and hash >= decode($1, 'hex')
      and hash <= decode($1 || repeat('ff', 31), 'hex')`,
    [prefix],
  );
  const stored = new Set(await store.list(prefix));
  const known = new Set(rows.map(({ hash }) => hash));
  for (const hash of stored) if (!known.has(hash)) await removeStray(sweeping, hash);
  const missing = rows.filter(({ hash }) => !stored.has(hash));
  const found = rows.filter(({ hash, missingSince }) => missingSince !== null && stored.has(hash));
  await noteMissing(db.pool, { missing, found });
  const deadline = Date.now() - graceMs;
  const lost = missing.filter(({ missingSince }) => missingSince !== null && missingSince.getTime() < deadline);
  for (const { hash } of lost) await forgetLost(db, hash);
  return missing.length;
}

async function removeStray({ db, store }: Sweeping, hash: string): Promise<void> {
  await inTransaction(db, async (client) => {
    await lockHash(client, hash);
    const { rowCount } = await client.query(`select from blobs where hash = decode($1, 'hex') and bytes is null`, [
      hash,
    ]);
    if (rowCount === 0) await store.remove(hash);
  });
}

async function noteMissing(
  client: Queryable,
  { missing, found }: { missing: { hash: string }[]; found: { hash: string }[] },
): Promise<void> {
  const bytesOf = (rows: { hash: string }[]) => rows.map(({ hash }) => Buffer.from(hash, 'hex'));
  await client.query(
    'update blobs set missing_since = now() where hash = any ($1) and missing_since is null and bytes is null',
    [bytesOf(missing)],
  );
  await client.query('update blobs set missing_since = null where hash = any ($1)', [bytesOf(found)]);
}

/** Unless the same bytes have just come again. */
async function forgetLost(db: Db, hash: string): Promise<void> {
  await inTransaction(db, async (client) => {
    await lockHash(client, hash);
    await client.query(
      `delete from files using blobs b
      where files.blob_hash = b.hash and b.hash = decode($1, 'hex') and b.missing_since is not null`,
      [hash],
    );
    await client.query(
      `delete from thumbnails t using blobs b
      where t.thumbnail_hash = b.hash and b.hash = decode($1, 'hex') and b.missing_since is not null`,
      [hash],
    );
    await deleteUnusedBlob(client, hash);
  });
}
