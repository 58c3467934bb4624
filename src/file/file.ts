import type { Db } from '../postgres/client.ts';
import type { StagedBytes, StoreAccess } from './store/store.ts';
import { tellContentType } from './content-type.ts';
import { stagedOf, type PreparedFile } from './file-insertion.ts';
import type { FileCommit } from './file-commit.ts';
import { cleanFileName } from './file-name.ts';
import type { Arrival } from './arrival.ts';
import { overLimit } from './file-quota.ts';
import { isPictureType, type Pictures } from './picture.ts';
import { fileChat, fileColumns, fileVisibleTo, type SharedFile } from './shared-file.ts';
import { eraseMetadata } from './metadata.ts';
import type { Asker } from '../core/asker.ts';

export type { SharedFile, StagedBytes };

/** The maximum number of files in a message, and in one request. */
export const maxFiles = 10;

/** The storage for files, and its limits. */
export type FileStorage = StoreAccess & {
  db: Db;
  /** The maximum size of a file, in bytes. */
  maxUploadBytes: number;
  /** The maximum total size of a user's stored files, in bytes. */
  userQuotaBytes: number;
  /** Decodes and cleans pictures. */
  pictures: Pictures;
  /** Inserts new files into the tables. */
  commit: FileCommit;
};

/**
 * Stages a user's bytes in the store. The bytes stay in memory only until they are written. Throws TooLarge as soon as
 * they exceed the maximum file size or what is left of the user's quota, and StoreFull if the store has no room. In
 * either case, nothing is left behind. The caller must pass the result to `saveFile` or discard it.
 */
export async function stageFile(
  { store, maxUploadBytes }: FileStorage,
  arrival: Arrival,
  source: AsyncIterable<Uint8Array>,
): Promise<StagedBytes> {
  return store.stage(bounded(source, maxUploadBytes, arrival));
}

/** A staged file with the name that its sender gave it. */
export type NewFile = { name: string; staged: StagedBytes };

/** Saves a single file; see `saveFiles`. */
export async function saveFile(
  keeping: FileStorage,
  asker: Pick<Asker, 'userId'>,
  { name, staged, partialId = null }: NewFile & { partialId?: string | null },
): Promise<SharedFile> {
  const [file] = await saveFiles(keeping, asker, { files: [{ name, staged }], partialId });
  if (file === undefined) throw new Error('a staged file was not saved');
  return file;
}

/**
 * Turns all of the staged bytes into files, or none of them, and returns the files in the same order. Only the asker
 * can see the files until they are used. Throws InvalidInput for a broken picture, RateLimited for too many pictures,
 * and TooLarge when concurrent uploads have used up the quota. `partialId` names the partial upload that becomes this
 * file. If there are several attempts, one creates the file and the others get Conflict. In every case, the staged
 * bytes are released.
 */
export async function saveFiles(
  keeping: FileStorage,
  asker: Pick<Asker, 'userId'>,
  { files, partialId }: { files: readonly NewFile[]; partialId: string | null },
): Promise<SharedFile[]> {
  const made = files.map(({ staged }) => staged);
  try {
    const prepared: PreparedFile[] = [];
    for (const file of files) {
      const ready = await prepare(keeping, asker, file);
      made.push(...stagedOf([ready]));
      prepared.push(ready);
    }
    await Promise.all(made.slice(files.length).map((each) => each.send()));
    return await keeping.commit.submit(asker, prepared, partialId);
  } finally {
    await Promise.all(made.map((each) => each.discard()));
  }
}

async function prepare(
  { store, pictures }: FileStorage,
  asker: Pick<Asker, 'userId'>,
  { name, staged }: NewFile,
): Promise<PreparedFile> {
  const file = { name: cleanFileName(name), contentType: await tellContentType(staged) };
  if (!isPictureType(file.contentType)) {
    return { ...file, staged: await eraseMetadata(store, file.contentType, staged), picture: null, note: null };
  }
  const { isUnclear, ...developed } = await pictures.develop(store, asker, { staged, contentType: file.contentType });
  // Browsers do not display this type, so the file can only be downloaded.
  return { ...file, ...developed, ...(isUnclear && { contentType: 'application/octet-stream' }) };
}

async function* bounded(source: AsyncIterable<Uint8Array>, maxBytes: number, arrival: Arrival) {
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > maxBytes) throw overLimit(maxBytes);
    await arrival.take(chunk.length);
    yield chunk;
  }
}

/**
 * Returns those of the files with these ids that the asker may see, in no particular order. Raw SQL at a third of
 * Prisma's cost, because `node` and `nodes` run this.
 */
export async function findVisibleFiles(
  { pool }: Db,
  { userId }: Pick<Asker, 'userId'>,
  fileIds: readonly bigint[],
): Promise<SharedFile[]> {
  const { rows } = await pool.query<SharedFile>({
    name: 'visible_files',
    text: `select ${fileColumns}
    from files f join blobs b on b.hash = f.blob_hash
    ${fileChat}
    where f.id = any ($1) and ${fileVisibleTo('$2')}`,
    values: [fileIds, userId],
  });
  return rows;
}
