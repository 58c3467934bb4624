import { chatReaderKey, visibleFrom, type ChatReader } from '../chat/visibility.ts';
import type { Db } from '../postgres/client.ts';
import { defineLoader, definePageLoader } from '../postgres/loader.ts';
import { toPages, type Page, type PageRequest } from '../postgres/page.ts';
import { fileColumns, type SharedFile } from './shared-file.ts';
import { unnest } from '../postgres/unnest.ts';

/**
 * Loads files by id; the result is null for a file that was deleted. The caller must have checked that the asker may
 * see the files.
 */
export const fileById = defineLoader({ load: loadFiles });

/** Loads the files in a message, by the id of the message, in the order in which they were sent. */
export const filesOf = defineLoader({ load: listMessageFiles });

/**
 * Loads one page per chat of the files that the asker can see, in the order of their messages. A cursor's key is the
 * message's seq and the file's position in the message.
 */
export const chatFilesIn = definePageLoader({
  load: listChatFiles,
  keyOf: chatReaderKey,
});

/** A file with the seq of its message and its position in that message. */
export type PlacedFile = SharedFile & { seq: number; place: number };

/** Raw SQL, which costs half as much as Prisma. Events and pages use this to read many files in one statement. */
async function loadFiles({ pool }: Db, fileIds: readonly bigint[]): Promise<(SharedFile | null)[]> {
  const { rows } = await pool.query<SharedFile>({
    name: 'files_by_id',
    text: `select ${fileColumns} from files f join blobs b on b.hash = f.blob_hash where f.id = any ($1)`,
    values: [fileIds],
  });
  const found = new Map(rows.map((file) => [file.id, file]));
  return fileIds.map((id) => found.get(id) ?? null);
}

/**
 * Raw SQL, which costs half as much as Prisma. Events and pages use this to read the files in many messages with one
 * statement.
 */
async function listMessageFiles({ pool }: Db, messageIds: readonly bigint[]): Promise<SharedFile[][]> {
  const { rows } = await pool.query<SharedFile & { messageId: bigint }>({
    name: 'message_files',
    text: `select f.message_id as "messageId", ${fileColumns}
    from files f join blobs b on b.hash = f.blob_hash
    where f.message_id = any ($1) order by f.message_id, f.place`,
    values: [messageIds],
  });
  const byMessage = Map.groupBy(rows, ({ messageId }) => messageId);
  return messageIds.map((id) => byMessage.get(id) ?? []);
}

/**
 * Raw SQL, because one statement reads a page for each chat and applies the visibility rule; Prisma cannot limit the
 * number of rows per chat.
 */
async function listChatFiles(
  { pool }: Db,
  readers: readonly ChatReader[],
  page: PageRequest,
): Promise<Page<PlacedFile>[]> {
  const direction = page.isBackward ? 'desc' : 'asc';
  const { rows } = await pool.query<PlacedFile & { index: number }>({
    name: `chat_files_${direction}`,
    text: `select reader.index::int as index, found.*
    from ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as reader (chat_id, user_id, index)
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
      readers.map(({ asker }) => asker.userId),
      ...(page.after ?? [-1n, -1n]),
      ...(page.before ?? [2n ** 62n, 0n]),
      page.limit + 1,
    ],
  });
  return toPages(rows, readers, page);
}
