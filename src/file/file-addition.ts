import type { Queryable } from '../postgres/client.ts';
import { orGone } from '../postgres/foreign-key.ts';
import { sqlStateOf } from '../postgres/sql-state.ts';
import { StoreFull } from '../errors.ts';
import type { StagedBytes } from './store/store.ts';
import type { Picture } from './picture.ts';
import type { SharedFile } from './shared-file.ts';

/** A file of which all is known: what is left is to keep its bytes and to write its rows. */
export type PreparedFile = { name: string; contentType: string; staged: StagedBytes; picture: Picture | null };

/** Theirs, and those of their thumbnails. */
export function stagedOf(files: readonly PreparedFile[]): StagedBytes[] {
  const thumbnails = files.flatMap(({ picture }) => picture?.thumbnails ?? []);
  return [...files, ...thumbnails].map(({ staged }) => staged);
}

/** One of these, and whose it becomes. */
export type OwnedFile = PreparedFile & { uploaderId: bigint };

/** What PostgreSQL says when it can write no more. */
const diskFull = '53100';

type Blob = { staged: StagedBytes; contentType: string; picture: Picture | null };
type Thumbnail = Picture['thumbnails'][number] & { owner: number };

/** Rows of files, of their thumbnails and of the bytes of both, which one statement adds. */
export class Addition {
  readonly #files: readonly OwnedFile[];
  readonly #thumbnails: readonly Thumbnail[];
  readonly #blobs: readonly Blob[];

  constructor(files: readonly OwnedFile[]) {
    this.#files = files;
    this.#thumbnails = files.flatMap(({ picture }, index) =>
      (picture?.thumbnails ?? []).map((thumbnail) => ({ ...thumbnail, owner: index + 1 })),
    );
    this.#blobs = [
      ...files,
      ...this.#thumbnails.map(({ staged }) => ({ staged, contentType: 'image/webp', picture: null })),
    ];
  }

  /**
   * Writes the rows, and with them the bytes that are inline; the caller keeps the others before the transaction ends:
   * until then their hashes are locked. Returns each file in its place; null for all of a person who would have more than
   * `quotaBytes`, or, unless it `waits`, to whose files somebody else is adding. Rejects with NotFound for people who have
   * just gone, and with StoreFull when the database has no room.
   */
  async insert(
    client: Queryable,
    options: { waits: boolean; quotaBytes: number; partialId: string | null },
  ): Promise<(SharedFile | null)[]> {
    const { starts, content } = joinInline(this.#blobs);
    const inserting = client.query<SharedFile & { place: number }>({
      name: 'add_files',
      text: 'select * from add_files($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)',
      values: [
        options.waits,
        options.quotaBytes,
        options.partialId,
        this.#files.map(({ uploaderId }) => uploaderId),
        this.#files.map(({ name }) => name),
        this.#blobs.map(({ staged }) => staged.hash),
        this.#blobs.map(({ staged }) => staged.size),
        this.#blobs.map(({ contentType }) => contentType),
        this.#blobs.map(({ picture }) => picture?.width ?? null),
        this.#blobs.map(({ picture }) => picture?.height ?? null),
        this.#blobs.map(({ picture }) => picture?.blurhash ?? null),
        starts,
        content,
        [...this.#files.map(() => null), ...this.#thumbnails.map(({ owner }) => owner)],
        this.#thumbnails.map(({ size }) => size),
      ],
    });
    const { rows } = await orFull(orGone(inserting, ['files_uploader_id_fkey', 'storage_uses_user_id_fkey']));
    const made = new Map(rows.map(({ place, ...file }) => [place - 1, file]));
    return this.#files.map((_, index) => made.get(index) ?? null);
  }
}

async function orFull<Result>(statement: Promise<Result>): Promise<Result> {
  try {
    return await statement;
  } catch (error) {
    const isFull = sqlStateOf(error) === diskFull;
    throw isFull ? new StoreFull({ cause: error }) : error;
  }
}

/** One value for all of them, which goes to the database as it is: an array of them would go as hexadecimal text. */
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
