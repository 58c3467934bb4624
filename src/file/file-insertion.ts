import type { Queryable } from '../postgres/client.ts';
import { orGone } from '../postgres/foreign-key.ts';
import { sqlStateOf } from '../postgres/sql-state.ts';
import { StoreFull } from '../errors.ts';
import type { StagedBytes } from './store/store.ts';
import type { Picture } from './picture.ts';
import type { SharedFile } from './shared-file.ts';

/** A file that is ready to be saved: its bytes are staged, and everything about it is known. */
export type PreparedFile = {
  name: string;
  contentType: string;
  staged: StagedBytes;
  picture: Picture | null;
  /** What the server could not do with the file, as a sentence for users. */
  note: string | null;
};

/** Lists the staged bytes of the files and their thumbnails. */
export function stagedOf(files: readonly PreparedFile[]): StagedBytes[] {
  const thumbnails = files.flatMap(({ picture }) => picture?.thumbnails ?? []);
  return [...files, ...thumbnails].map(({ staged }) => staged);
}

/** A prepared file and its uploader. */
export type OwnedFile = PreparedFile & { uploaderId: bigint };

/** PostgreSQL's SQLSTATE for a full disk. */
const diskFull = '53100';

/**
 * A value of the database's type new_blob: a file, or a thumbnail of the file at position `owner` (counted from 1).
 */
type Blob = { staged: StagedBytes; contentType: string; owner: number } & (
  | { name: string; uploaderId: bigint; picture: Picture | null; note: string | null }
  | { thumbnailSize: string }
);

/** Inserts the rows of files, of their thumbnails, and of the bytes of both, in one statement. */
export class FileInsertion {
  readonly #files: readonly OwnedFile[];
  readonly #blobs: readonly Blob[];

  constructor(files: readonly OwnedFile[]) {
    this.#files = files;
    const thumbnails = files.flatMap(({ picture }, index) =>
      (picture?.thumbnails ?? []).map(({ staged, size }) => ({
        staged,
        contentType: 'image/webp',
        owner: index + 1,
        thumbnailSize: size,
      })),
    );
    this.#blobs = [...files.map((file, index) => ({ ...file, owner: index + 1 })), ...thumbnails];
  }

  /**
   * Inserts the rows, including the inline bytes. The caller must store the other bytes before the transaction ends;
   * until then, the hashes of these bytes are locked. Returns the files in the order in which the constructor received
   * them. For a user whose files would exceed `quotaBytes`, returns null in place of each file. Also returns null for
   * them if another transaction is adding to that user's files and `waits` is false. Rejects with NotFound for users
   * who have just been deleted, and with StoreFull when the database has no room. Raw SQL, because one call saves the
   * files of many users.
   */
  async insert(
    client: Queryable,
    options: { waits: boolean; quotaBytes: number; partialId: string | null },
  ): Promise<(SharedFile | null)[]> {
    const { starts, content } = joinInline(this.#blobs);
    const inserting = client.query<SharedFile & { place: number }>({
      name: 'add_files',
      text: 'select * from add_files($1, $2, $3, $4, $5)',
      values: [
        options.waits,
        options.quotaBytes,
        options.partialId,
        JSON.stringify(this.#blobs.map((blob, index) => describe(blob, starts[index] ?? null))),
        content,
      ],
    });
    const { rows } = await orFull(orGone(inserting, ['files_uploader_id_fkey', 'storage_uses_user_id_fkey']));
    const made = new Map(rows.map(({ place, ...file }) => [place - 1, file]));
    return this.#files.map((_, index) => made.get(index) ?? null);
  }
}

/** Converts the blob to the database's type new_blob. */
function describe(blob: Blob, start: number | null): Record<string, string | number | null> {
  const { staged, contentType, owner } = blob;
  const common = { owner, hash: staged.hash, size: staged.size, content_type: contentType, start };
  if ('thumbnailSize' in blob) return { ...common, thumbnail_size: blob.thumbnailSize };
  const { width = null, height = null, blurhash = null } = blob.picture ?? {};
  return { ...common, width, height, blurhash, person: String(blob.uploaderId), name: blob.name, note: blob.note };
}

async function orFull<Result>(statement: Promise<Result>): Promise<Result> {
  try {
    return await statement;
  } catch (error) {
    const isFull = sqlStateOf(error) === diskFull;
    throw isFull ? new StoreFull({ cause: error }) : error;
  }
}

/**
 * Concatenates all inline bytes into a single value, which is sent in binary; an array would be sent as hexadecimal
 * text.
 */
function joinInline(blobs: readonly Blob[]): { starts: (number | null)[]; content: Buffer } {
  const pieces: Buffer[] = [];
  let next = 1;
  const starts = blobs.map(({ staged: { content } }) => {
    if (typeof content === 'string') return null;
    pieces.push(content);
    const start = next;
    next += content.length;
    return start;
  });
  return { starts, content: Buffer.concat(pieces) };
}
