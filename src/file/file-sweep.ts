import { randomInt } from 'node:crypto';
import { inTransaction, type Db, type Queryable, type Transaction } from '../postgres/client.ts';
import type { Chore } from '../core/housekeeping.ts';
import type { FileStore } from './store/store.ts';
import type { Report } from '../core/report.ts';

/** How long unused uploads, interrupted uploads, and rows with missing bytes are kept. */
const graceMs = 24 * 60 * 60_000;
const prefixCount = 256;

type Sweeping = { db: Db; store: FileStore };

/**
 * Creates the housekeeping tasks that keep the file store and the tables consistent. Any node with access to the store
 * can run them, even while other nodes do.
 */
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

/** Deletes uploads that were not used in time by a message or an avatar. Returns how many. */
export async function sweepUnattached({ db }: Sweeping, limit: number): Promise<number> {
  // Raw SQL, for `skip locked`, so that the sweep does not wait for an upload that is being attached.
  const { rowCount } = await db.pool.query(
    `delete from files where id in (
      select id from files where message_id is null and not is_avatar and created_at < $1
      order by created_at limit $2 for update skip locked)`,
    [new Date(Date.now() - graceMs), limit],
  );
  return rowCount ?? 0;
}

/**
 * Removes the bytes of deleted files, unless another file or a report refers to them. Returns how many blobs it
 * examined.
 */
export async function sweepLoose({ db, store }: Sweeping, limit: number): Promise<number> {
  const loose = await db.prisma.looseBlob.findMany({ orderBy: { since: 'asc' }, take: limit });
  for (const { hash } of loose) {
    await inTransaction(db, async (transaction) => {
      const name = Buffer.from(hash).toString('hex');
      await lockHash(transaction, name);
      await transaction.prisma.looseBlob.deleteMany({ where: { hash } });
      // The bytes are removed before the commit: if the process crashes in between, the row remains, and the next sweep
      // examines it again.
      if ((await deleteUnusedBlob(transaction, name)) === 'stored') await store.remove(name);
    });
  }
  return loose.length;
}

/**
 * Waits until no other transaction is storing or removing the bytes with this hash. The lock is held until the
 * transaction ends.
 */
async function lockHash(client: Queryable, hash: string): Promise<void> {
  // Raw SQL, for an advisory lock, which the same function also takes when files are added.
  await client.query('select lock_hashes(array[$1])', [hash]);
}

/**
 * Deletes the row of these bytes if nothing refers to them. Returns where the bytes are stored, or null if they are
 * still in use.
 */
async function deleteUnusedBlob(client: Queryable, hash: string): Promise<'inline' | 'stored' | null> {
  // Raw SQL, so that one statement checks for references, deletes the row and returns where the bytes are, without
  // reading inline bytes.
  const { rows } = await client.query<{ place: 'inline' | 'stored' }>(
    `delete from blobs b where b.hash = decode($1, 'hex')
      and not exists (select from files f where f.blob_hash = b.hash)
      and not exists (select from thumbnails t where t.thumbnail_hash = b.hash)
      and not exists (select from report_files f where f.blob_hash = b.hash)
    returning case when bytes is null then 'stored' else 'inline' end as place`,
    [hash],
  );
  return rows[0]?.place ?? null;
}

/**
 * Compares the bytes in the store whose hashes begin with these two hex digits with the rows of the database. Removes
 * bytes that have no row or whose row has the bytes inline, and marks rows whose bytes are missing. Deletes such rows
 * and their files once the bytes have been missing for a day, because a disk may be temporarily unmounted. Returns how
 * many rows have missing bytes.
 */
export async function comparePrefix(sweeping: Sweeping, prefix: string): Promise<number> {
  const { db, store } = sweeping;
  // The rows are read first, so bytes that are added in the meantime look like strays; `removeStray` checks again while
  // it holds their lock. Raw SQL: Prisma cannot express a range of byte strings.
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
  await inTransaction(db, async (transaction) => {
    await lockHash(transaction, hash);
    const count = await transaction.prisma.blob.count({ where: { hash: bytesOf(hash), bytes: null } });
    if (count === 0) await store.remove(hash);
  });
}

function bytesOf(hash: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(hash, 'hex'));
}

async function noteMissing(
  client: Queryable,
  { missing, found }: { missing: { hash: string }[]; found: { hash: string }[] },
): Promise<void> {
  const hashesOf = (rows: { hash: string }[]) => rows.map(({ hash }) => Buffer.from(hash, 'hex'));
  // Marks the rows whose bytes are missing. Raw SQL, like the next statement, because it needs only one parameter for
  // any number of hashes, and uses the database's clock.
  await client.query(
    'update blobs set missing_since = now() where hash = any ($1) and missing_since is null and bytes is null',
    [hashesOf(missing)],
  );
  // Unmarks the rows whose bytes have reappeared.
  await client.query('update blobs set missing_since = null where hash = any ($1)', [hashesOf(found)]);
}

/**
 * Deletes the files and thumbnails whose bytes are lost, including files kept with reports, unless the same bytes have
 * just been added again.
 */
async function forgetLost(db: Db, hash: string): Promise<void> {
  await inTransaction(db, async (transaction) => {
    await lockHash(transaction, hash);
    await deleteReferences(transaction, bytesOf(hash));
    await deleteUnusedBlob(transaction, hash);
  });
}

async function deleteReferences({ prisma }: Transaction, hash: Uint8Array<ArrayBuffer>): Promise<void> {
  const missing = await prisma.blob.count({ where: { hash, missingSince: { not: null } } });
  if (missing === 0) return;
  await prisma.file.deleteMany({ where: { blobHash: hash } });
  await prisma.thumbnail.deleteMany({ where: { thumbnailHash: hash } });
  await prisma.reportFile.deleteMany({ where: { blobHash: hash } });
}
