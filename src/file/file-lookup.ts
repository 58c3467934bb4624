import { isLiveSession, sessionLifetime } from '../account/live-session.ts';
import type { Db, Queryable } from '../postgres/client.ts';
import type { ThumbnailSize } from './picture.ts';
import { fileChat, fileColumns, fileVisibleTo, type SharedFile } from './shared-file.ts';
import { unnest } from '../postgres/unnest.ts';

/**
 * A request for a file or for a thumbnail of it. It names the user and the session that the link was made for, and says
 * whether to include inline bytes in the result.
 */
export type FileQuestion = {
  viewerId: bigint;
  sessionId: bigint;
  fileId: bigint;
  thumbnail: ThumbnailSize | null;
  withBytes: boolean;
};

/** A file, or a thumbnail that is described like a file. `bytes` has the inline bytes if they were requested. */
export type FoundFile = SharedFile & { isInline: boolean; bytes: Buffer | null };

type Asked = FileQuestion & { resolve: (file: FoundFile | null) => void; reject: (error: unknown) => void };

/**
 * How many files one statement looks up, and how many statements run at the same time, so that the database processes
 * one statement while this process reads the result of another.
 */
const maxTogether = 50;
const maxUnderWay = 2;

/**
 * Looks up files and checks that users may see them. Requests that arrive while statements run share the next
 * statement, for example when a page shows fifty thumbnails. A result always reflects the state of the database at some
 * time after its request was made.
 */
export class FileLookup {
  readonly #db: Db;
  #waiting: Asked[] = [];
  #underWay = 0;

  constructor(db: Db) {
    this.#db = db;
  }

  /** Returns the file, or null if the file does not exist, the user may not see it, or the session has ended. */
  find(question: FileQuestion): Promise<FoundFile | null> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...question, resolve, reject });
      if (this.#underWay < maxUnderWay) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#underWay += 1;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, maxTogether);
      try {
        const found = await findAll(this.#db.pool, batch);
        for (const [index, { resolve }] of batch.entries()) resolve(found.get(index) ?? null);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#underWay -= 1;
  }
}

/**
 * Raw SQL, which costs a third as much as Prisma, because this runs for every download and finds up to 50 files in one
 * statement.
 */
async function findAll(client: Queryable, questions: readonly FileQuestion[]): Promise<Map<number, FoundFile>> {
  const { rows } = await client.query<FoundFile & { place: number; isThumbnail: boolean }>({
    name: 'find_files',
    text: `select asked.place::int as place, asked.size is not null as "isThumbnail", ${fileColumns},
      b.bytes is not null as "isInline", case when asked.with_bytes then b.bytes end as bytes
    from ${unnest('$1::bigint[]', '$2::bigint[]', '$3::bigint[]', '$4::thumbnail_size[]', '$5::boolean[]')}
      with ordinality as asked (viewer_id, session_id, file_id, size, with_bytes, place)
    cross join lateral (select * from sessions where id = asked.session_id offset 0) s
    cross join lateral (select * from files where id = asked.file_id offset 0) f
    cross join lateral (
      select * from blobs where hash = case when asked.size is null then f.blob_hash
        else (select thumbnail_hash from thumbnails t where t.blob_hash = f.blob_hash and t.size = asked.size) end
      offset 0
    ) b
    ${fileChat}
    where s.user_id = asked.viewer_id and ${isLiveSession('s', '$6')}
      and ${fileVisibleTo('asked.viewer_id')}`,
    values: [
      questions.map(({ viewerId }) => viewerId),
      questions.map(({ sessionId }) => sessionId),
      questions.map(({ fileId }) => fileId),
      questions.map(({ thumbnail }) => thumbnail),
      questions.map(({ withBytes }) => withBytes),
      sessionLifetime,
    ],
  });
  return new Map(
    rows.map(({ place, isThumbnail, ...file }) => [
      place - 1,
      isThumbnail ? { ...file, name: `${file.name}.webp` } : file,
    ]),
  );
}

/**
 * Returns the bytes with that hash, or null if they are not inline or have been deleted. Raw SQL, which costs a third
 * as much as Prisma, because an export runs this for every inline file.
 */
export async function readInline({ pool }: Db, hash: string): Promise<Buffer | null> {
  const { rows } = await pool.query<{ bytes: Buffer | null }>({
    name: 'inline_bytes',
    text: `select bytes from blobs where hash = decode($1, 'hex')`,
    values: [hash],
  });
  return rows[0]?.bytes ?? null;
}
