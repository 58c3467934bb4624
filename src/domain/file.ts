import type { Db } from '../database/client.ts';
import { visibleFrom } from '../database/visibility.ts';
import { InvalidInput } from '../errors.ts';
import type { FileStore, StagedBytes, StoreAccess } from '../files/store.ts';
import { tellContentType } from './content-type.ts';
import type { PreparedFile } from './file-addition.ts';
import type { FileCommit } from './file-commit.ts';
import { cleanFileName } from './file-name.ts';
import { countStoredBytes, overLimit, overQuota } from './file-quota.ts';
import { developPicture, isPictureType } from './picture.ts';
import { toPage, type Page, type PageRequest } from './page.ts';
import { fileChat, fileColumns, fileVisibleTo, type SharedFile } from './shared-file.ts';
import { eraseTraces } from './trace.ts';
import type { Viewer } from './viewer.ts';

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
  viewer: Viewer,
  source: AsyncIterable<Uint8Array>,
): Promise<StagedBytes> {
  const { maxUploadBytes, userQuotaBytes } = keeping;
  const askLeft = async () => userQuotaBytes - (await countStoredBytes(keeping.db.pool, viewer));
  return keeping.store.stage(withinQuota(bounded(source, maxUploadBytes), userQuotaBytes, askLeft));
}

/** A file that came in, under its sender's name for it. */
export type NewFile = { name: string; staged: StagedBytes };

/** `keepFiles` for one. */
export async function keepFile(
  keeping: FileKeeping,
  viewer: Viewer,
  { name, staged, partialId = null }: NewFile & { partialId?: string | null },
): Promise<SharedFile> {
  const [file] = await keepFiles(keeping, viewer, { files: [{ name, staged }], partialId });
  if (file === undefined) throw new Error('a file was not kept');
  return file;
}

/**
 * Makes files of what was staged, all or none, in their order: the viewer's own, until messages of theirs have them. Throws
 * InvalidInput for an empty one and for a picture that `developPicture` refuses, and TooLarge when others have used up the
 * quota meanwhile. `partialId` is of the partial upload that this is: of it comes one file, whoever tries; Conflict for the
 * others. Whatever happens, nothing stays staged.
 */
export async function keepFiles(
  { store, commit }: FileKeeping,
  viewer: Viewer,
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
    return await commit.submit(viewer, prepared, partialId);
  } finally {
    await Promise.all(made.map((each) => each.discard()));
  }
}

async function prepare(store: FileStore, { name, staged }: NewFile): Promise<PreparedFile> {
  if (staged.size === 0) throw new InvalidInput([{ path: ['file'], message: 'is empty' }]);
  const contentType = await tellContentType(staged);
  const picture = isPictureType(contentType) ? await developPicture(store, staged) : null;
  const clean = picture?.staged ?? (await eraseTraces(store, contentType, staged));
  return { name: cleanFileName(name), contentType, picture, staged: clean };
}

/** Files by their ids, null for one that is gone. Whether they may be seen is asked before. */
export async function loadFiles({ pool }: Db, fileIds: readonly bigint[]): Promise<(SharedFile | null)[]> {
  const { rows } = await pool.query<SharedFile>({
    name: 'files_by_id',
    text: `select ${fileColumns} from files f join blobs b on b.hash = f.blob_hash where f.id = any ($1)`,
    values: [fileIds],
  });
  const found = new Map(rows.map((file) => [file.id, file]));
  return fileIds.map((id) => found.get(id) ?? null);
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
  { userId }: Pick<Viewer, 'userId'>,
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

/** Each message's files, in the order in which they were sent. Whether the message may be seen is asked before. */
export async function listMessageFiles({ pool }: Db, messageIds: readonly bigint[]): Promise<SharedFile[][]> {
  const { rows } = await pool.query<SharedFile & { messageId: bigint }>({
    name: 'message_files',
    text: `select f.message_id as "messageId", ${fileColumns}
    from files f join blobs b on b.hash = f.blob_hash
    where f.message_id = any ($1) order by f.message_id, f.place`,
    values: [messageIds],
  });
  return messageIds.map((id) => rows.filter(({ messageId }) => messageId === id));
}

/** A file in its place: the seq of its message, and its place there. */
export type PlacedFile = SharedFile & { seq: number; place: number };

/** Of each chat a page of the files that the person sees, in the order of its messages. Key: seq and place. */
export async function listChatFiles(
  { pool }: Db,
  readers: readonly { chatId: bigint; userId: bigint }[],
  page: PageRequest,
): Promise<Page<PlacedFile>[]> {
  const direction = page.isBackward ? 'desc' : 'asc';
  const { rows } = await pool.query<PlacedFile & { index: number }>({
    name: `chat_files_${direction}`,
    text: `select reader.index::int as index, found.*
    from unnest($1::bigint[], $2::bigint[]) with ordinality as reader (chat_id, user_id, index)
    join chats c on c.id = reader.chat_id
    cross join lateral (select ${visibleFrom('c', 'reader.user_id')} as seq offset 0) first_visible
    cross join lateral (
      select ${fileColumns}, m.seq, f.place
      from messages m join files f on f.message_id = m.id join blobs b on b.hash = f.blob_hash
      where m.chat_id = c.id and m.file_count > 0 and m.seq >= first_visible.seq
        and (m.seq, f.place) > ($3::bigint, $4::bigint) and (m.seq, f.place) < ($5::bigint, $6::bigint)
      order by m.seq ${direction}, f.place ${direction} limit $7
    ) found
    order by reader.index, found.seq ${direction}, found.place ${direction}`,
    values: [
      readers.map(({ chatId }) => chatId),
      readers.map(({ userId }) => userId),
      ...(page.after ?? [-1n, -1n]),
      ...(page.before ?? [2n ** 62n, 0n]),
      page.limit + 1,
    ],
  });
  return readers.map((_, index) =>
    toPage(
      rows.filter((row) => row.index === index + 1),
      page,
    ),
  );
}
