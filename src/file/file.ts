import type { Db } from '../postgres/client.ts';
import type { FileStore, StagedBytes, StoreAccess } from './store/store.ts';
import { tellContentType } from './content-type.ts';
import type { PreparedFile } from './file-addition.ts';
import type { FileCommit } from './file-commit.ts';
import { cleanFileName } from './file-name.ts';
import { countStoredBytes, overLimit, overQuota } from './file-quota.ts';
import { developPicture, isPictureType } from './picture.ts';
import { fileChat, fileColumns, fileVisibleTo, type SharedFile } from './shared-file.ts';
import { eraseTraces } from './metadata.ts';
import type { Asker } from '../core/asker.ts';

export type { SharedFile, StagedBytes };

/** How many files a message has at most, and how many come in one request. */
export const maxFiles = 10;

/** Where files are, and how much of them is taken. */
export type FileKeeping = StoreAccess & {
  db: Db;
  /** Of one file. */
  maxUploadBytes: number;
  /** Of all that a person has uploaded and that is still there. */
  userQuotaBytes: number;
  /** The way of new files into the tables. */
  commit: FileCommit;
};

/** A file that is no larger is counted once, when it is whole. */
const uncountedBytes = 64 * 1024;

/**
 * Takes a person's bytes into the store, none of them in memory for longer than it takes to write them. Throws TooLarge
 * as soon as they are over the limit or over what is left of the person's quota, StoreFull when there is no room; then
 * nothing is left behind. The caller gives what it gets to `keepFile`, or discards it.
 */
export async function stageFile(
  keeping: FileKeeping,
  asker: Asker,
  source: AsyncIterable<Uint8Array>,
): Promise<StagedBytes> {
  const { maxUploadBytes, userQuotaBytes } = keeping;
  const askLeft = async () => userQuotaBytes - (await countStoredBytes(keeping.db.pool, asker));
  return keeping.store.stage(withinQuota(bounded(source, maxUploadBytes), userQuotaBytes, askLeft));
}

/** A file that came in, under its sender's name for it. */
export type NewFile = { name: string; staged: StagedBytes };

/** `keepFiles` for one. */
export async function keepFile(
  keeping: FileKeeping,
  asker: Asker,
  { name, staged, partialId = null }: NewFile & { partialId?: string | null },
): Promise<SharedFile> {
  const [file] = await keepFiles(keeping, asker, { files: [{ name, staged }], partialId });
  if (file === undefined) throw new Error('a file was not kept');
  return file;
}

/**
 * Makes files of what was staged, all or none, in their order: the viewer's own, until messages of theirs have them. Throws
 * InvalidInput for a picture that `developPicture` refuses, and TooLarge when others have used up the
 * quota meanwhile. `partialId` is of the partial upload that this is: of it comes one file, whoever tries; Conflict for the
 * others. Whatever happens, nothing stays staged.
 */
export async function keepFiles(
  { store, commit }: FileKeeping,
  asker: Asker,
  { files, partialId }: { files: readonly NewFile[]; partialId: string | null },
): Promise<SharedFile[]> {
  const made = files.map(({ staged }) => staged);
  try {
    const prepared: PreparedFile[] = [];
    for (const file of files) {
      const { staged, picture, ...rest } = await prepare(store, file);
      made.push(staged, ...(picture?.thumbnails ?? []).map((thumbnail) => thumbnail.staged));
      prepared.push({ staged, picture, ...rest });
    }
    await Promise.all(made.slice(files.length).map((each) => each.send()));
    return await commit.submit(asker, prepared, partialId);
  } finally {
    await Promise.all(made.map((each) => each.discard()));
  }
}

async function prepare(store: FileStore, { name, staged }: NewFile): Promise<PreparedFile> {
  const contentType = await tellContentType(staged);
  const picture = isPictureType(contentType) ? await developPicture(store, staged) : null;
  const clean = picture?.staged ?? (await eraseTraces(store, contentType, staged));
  return { name: cleanFileName(name), contentType, picture, staged: clean };
}

async function* bounded(source: AsyncIterable<Uint8Array>, maxBytes: number) {
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > maxBytes) throw overLimit(maxBytes);
    yield chunk;
  }
}

/** Asks what is left only when it matters: so few bytes may come before `keepFile` counts them. */
async function* withinQuota(source: AsyncIterable<Uint8Array>, quotaBytes: number, askLeft: () => Promise<number>) {
  let size = 0;
  let left: number | null = null;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > uncountedBytes && size > (left ??= await askLeft())) throw overQuota(quotaBytes);
    yield chunk;
  }
}

/** Those of the files that the person may see, in no order. */
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
