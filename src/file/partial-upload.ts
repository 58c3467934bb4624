import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import type { Chore } from '../core/housekeeping.ts';
import { Conflict, InvalidInput, NotFound, RateLimited } from '../errors.ts';
import type { PartialFiles } from './store/partial.ts';
import { findVisibleFiles, saveFile, type FileStorage, type SharedFile } from './file.ts';
import { cleanFileName } from './file-name.ts';
import { countStoredBytes, lockStorage, overLimit, overQuota } from './file-quota.ts';
import { KeyedMutex } from '../core/mutex.ts';
import type { Asker } from '../core/asker.ts';

/** An upload that comes in pieces is whole within this time after it began, or it is deleted. */
const partialLifetimeMs = 24 * 60 * 60_000;
/** So many may somebody have begun and not completed. */
const maxUnfinished = 20;
/** As much as is kept of what a client says of an upload. */
const maxMetadataBytes = 4_096;

/** An upload that comes in pieces, as it was begun. `size` is null as long as the client has not said it. */
export type PartialUpload = {
  id: string;
  name: string;
  metadata: string | null;
  size: number | null;
  /** It may have so many bytes. */
  reservedBytes: number;
  createdAt: Date;
  /** What became of it. */
  fileId: bigint | null;
};

/** Of a partial upload a file has been made, which is not given up with it. */
export class FileExists extends Error {}

/** What a client begins. */
export type NewPartial = Pick<PartialUpload, 'id' | 'name' | 'metadata' | 'size'>;

const partialColumns = `p.id, p.name, p.metadata, p.size::float8 as size, p.reserved_bytes::float8 as "reservedBytes",
  p.created_at as "createdAt", p.file_id as "fileId"`;

/**
 * The uploads that come in pieces: the rows say whose they are and what room is reserved for them, the files how far they
 * have come. Their bytes count for the quota from the beginning, so nobody can lay up more here than as files.
 */
export class PartialUploads {
  /** Since it was begun: later it is gone. */
  readonly lifetimeMs = partialLifetimeMs;
  readonly #files: FileStorage;
  readonly #bytes: PartialFiles;
  /** By the person: their uploads begin one after the other, for each counts the others. */
  readonly #beginning = new KeyedMutex<bigint>();
  /** Those that are being completed, so that who asks again waits for the same. */
  readonly #completing = new Map<string, Promise<SharedFile>>();

  constructor(files: FileStorage, bytes: PartialFiles) {
    this.#files = files;
    this.#bytes = bytes;
  }

  /** Makes room for the bytes of this machine. Throws CannotStart when there can be none. */
  async prepare(): Promise<void> {
    await this.#bytes.prepare();
  }

  /**
   * Begins one for the viewer. Without a size, all that it may have is reserved. TooLarge for one over the limit or over
   * what is left of the quota, RateLimited for a person with too many that are not whole, InvalidInput for too much
   * metadata, StoreFull when there is no room; then nothing is left behind.
   */
  async begin(asker: Asker, upload: NewPartial): Promise<void> {
    checkNew(upload);
    if (upload.size !== null && upload.size > this.#files.maxUploadBytes) throw overLimit(this.#files.maxUploadBytes);
    await this.#beginning.run(asker.userId, () =>
      inTransaction(this.#db, (client) => this.#reserve(client, asker, upload)),
    );
    try {
      await this.#bytes.create(upload.id);
    } catch (error) {
      await this.#forget(upload.id);
      throw error;
    }
  }

  /** The viewer's. NotFound for somebody else's, and for one that is gone. */
  async find(asker: Asker, id: string): Promise<PartialUpload> {
    const { rows } = await this.#db.pool.query<PartialUpload>(
      `select ${partialColumns} from partial_uploads p where p.id = $1 and p.user_id = $2 and p.created_at > $3`,
      [id, asker.userId, new Date(Date.now() - partialLifetimeMs)],
    );
    const [upload] = rows;
    if (upload === undefined) throw new NotFound('There is no such upload.');
    return upload;
  }

  /** How many of its bytes have come. NotFound when they are not on this machine. */
  async offsetOf({ id, size, fileId }: PartialUpload): Promise<number> {
    if (fileId !== null && size !== null) return size;
    const offset = await this.#bytes.sizeOf(id);
    if (offset === null) throw new NotFound('The bytes of this upload are not on this node: start the upload again.');
    return offset;
  }

  /**
   * Says how large it is going to be; the same size again changes nothing. InvalidInput for another one, TooLarge for more
   * than is reserved.
   */
  async declareSize({ id, size: known, reservedBytes }: PartialUpload, size: number): Promise<void> {
    if (known === size) return;
    if (known === null && size > reservedBytes) throw overLimit(reservedBytes);
    const { rowCount } = await this.#db.pool.query(
      'update partial_uploads set size = $2, reserved_bytes = $2 where id = $1 and size is null',
      [id, size],
    );
    if (rowCount === 1) return;
    const message = known === null ? 'has been declared already' : `was ${known} before and cannot change`;
    throw new InvalidInput([{ path: ['Upload-Length'], code: 'NOT_ALLOWED', message }]);
  }

  /** Writes on; see `PartialFiles.append`. TooLarge as soon as there is more than is reserved. */
  async append(upload: PartialUpload, offset: number, source: AsyncIterable<Uint8Array>): Promise<number> {
    if (upload.fileId !== null) return offset;
    return this.#bytes.append(upload.id, offset, bounded(source, offset, upload.reservedBytes));
  }

  /**
   * Makes a file of one that is whole, once: whoever asks again gets the same one. Null as long as it is not whole.
   * NotFound when the file is gone again. What `saveFile` throws: after InvalidInput the upload is gone, else it may be
   * asked again.
   */
  async complete(asker: Asker, id: string): Promise<SharedFile | null> {
    const upload = await this.find(asker, id);
    if (upload.fileId !== null) return this.#findFile(asker, upload.fileId);
    if (upload.size === null || (await this.offsetOf(upload)) !== upload.size) return null;
    const completing = this.#completing.get(id) ?? this.#keep(asker, upload);
    this.#completing.set(id, completing);
    return completing.finally(() => this.#completing.delete(id));
  }

  /** Gives one up: its bytes go, and what was reserved for them. FileExists for one that is a file already. */
  async end({ id, fileId }: PartialUpload): Promise<void> {
    if (fileId !== null) throw new FileExists('This upload has already been completed.');
    await this.#remove(id);
  }

  async #remove(id: string): Promise<void> {
    await this.#forget(id);
    await this.#bytes.remove(id);
  }

  /** Removes what has expired, and bytes whose row is gone (with its person). Says how many. */
  async sweep(limit: number): Promise<number> {
    const ids = await this.#bytes.list();
    const { rows: known } = await this.#db.pool.query<{ id: string }>(
      'select id from partial_uploads where id = any ($1) and file_id is null',
      [ids],
    );
    const kept = new Set(known.map(({ id }) => id));
    // A row comes before its bytes, so bytes without one are of no use any more.
    for (const id of ids) if (!kept.has(id)) await this.#bytes.remove(id);
    const { rows: expired } = await this.#db.pool.query<{ id: string }>(
      'select id from partial_uploads where created_at <= $1 order by created_at limit $2',
      [new Date(Date.now() - partialLifetimeMs), limit],
    );
    for (const { id } of expired) await this.#remove(id);
    return expired.length;
  }

  async #reserve(client: Queryable, asker: Asker, upload: NewPartial): Promise<void> {
    const { maxUploadBytes, userQuotaBytes } = this.#files;
    await lockStorage(client, asker);
    const { rows } = await client.query<{ count: number }>(
      'select count(*)::int as count from partial_uploads where user_id = $1 and file_id is null',
      [asker.userId],
    );
    if ((rows[0]?.count ?? 0) >= maxUnfinished) {
      throw new RateLimited(`You already have ${maxUnfinished} unfinished uploads: complete or delete one first.`, 60);
    }
    const quotaLeft = userQuotaBytes - (await countStoredBytes(client, asker));
    const reservedBytes = upload.size ?? Math.min(maxUploadBytes, quotaLeft);
    const hasNoRoom = upload.size === null && reservedBytes < 1;
    if (reservedBytes > quotaLeft || hasNoRoom) throw overQuota(userQuotaBytes);
    await client.query(
      `insert into partial_uploads (id, user_id, name, metadata, size, reserved_bytes) values ($1, $2, $3, $4, $5, $6)`,
      [upload.id, asker.userId, cleanFileName(upload.name), upload.metadata, upload.size, reservedBytes],
    );
  }

  async #keep(asker: Asker, { id, name }: PartialUpload): Promise<SharedFile> {
    try {
      const staged = await this.#files.store.stage(await this.#bytes.read(id));
      const file = await saveFile(this.#files, asker, { name, staged, partialId: id });
      await this.#bytes.remove(id);
      return file;
    } catch (error) {
      // What is no good does not get better.
      if (error instanceof InvalidInput) await this.#remove(id);
      // Another node was faster.
      if (error instanceof Conflict) {
        const { fileId } = await this.find(asker, id);
        if (fileId !== null) return this.#findFile(asker, fileId);
      }
      throw error;
    }
  }

  async #findFile(asker: Asker, fileId: bigint): Promise<SharedFile> {
    const [file] = await findVisibleFiles(this.#db, asker, [fileId]);
    if (file === undefined) throw new NotFound('This file has been deleted.');
    return file;
  }

  async #forget(id: string): Promise<void> {
    await this.#db.pool.query('delete from partial_uploads where id = $1', [id]);
  }

  get #db(): Db {
    return this.#files.db;
  }
}

/** What housekeeping does for them, on every node. */
export function partialChore(partials: PartialUploads): Chore {
  return { name: 'forgotten pieces of uploads', clear: (limit) => partials.sweep(limit) };
}

function checkNew({ metadata }: NewPartial): void {
  if (metadata !== null && metadata.length > maxMetadataBytes) {
    throw new InvalidInput([
      { path: ['Upload-Metadata'], code: 'TOO_LONG', message: `must have at most ${maxMetadataBytes} bytes` },
    ]);
  }
}

async function* bounded(source: AsyncIterable<Uint8Array>, offset: number, maxBytes: number) {
  let size = offset;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > maxBytes) throw overLimit(maxBytes);
    yield chunk;
  }
}
