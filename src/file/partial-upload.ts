import { inTransaction, type Db, type Transaction } from '../postgres/client.ts';
import type { Chore } from '../core/housekeeping.ts';
import { InvalidInput, NotFound, RateLimited } from '../errors.ts';
import type { PartialFiles } from './store/partial.ts';
import { findVisibleFiles, saveFile, type FileStorage, type SharedFile } from './file.ts';
import { cleanFileName } from './file-name.ts';
import { countStoredBytes, lockStorage, overLimit, overQuota } from './file-quota.ts';
import { KeyedMutex } from '../core/mutex.ts';
import type { Asker } from '../core/asker.ts';

/** How long a partial upload may stay incomplete before it is deleted. */
const partialLifetimeMs = 24 * 60 * 60_000;
/** The maximum number of incomplete uploads of a user. */
const maxUnfinished = 20;
/** The maximum size of the metadata that a client sends with an upload, in bytes. */
const maxMetadataBytes = 4_096;

/** An upload that arrives in parts. `size` is null until the client declares it. */
export type PartialUpload = {
  id: string;
  name: string;
  metadata: string | null;
  size: number | null;
  /** The maximum size of the upload, in bytes. */
  reservedBytes: number;
  createdAt: Date;
  /** The file that the upload became when it was completed; null until then. */
  fileId: bigint | null;
};

/** The partial upload has already become a file, so it cannot be deleted. */
export class FileExists extends Error {}

/** The data with which a client begins an upload. */
export type NewPartial = Pick<PartialUpload, 'id' | 'name' | 'metadata' | 'size'>;

/**
 * The uploads that arrive in parts. The rows say which user each upload belongs to and how many bytes are reserved for
 * it. The sizes of the partial files say how many bytes have arrived. Reserved bytes count towards the quota from the
 * beginning, so that partial uploads cannot exceed it.
 */
export class PartialUploads {
  /** How long an upload may stay incomplete before it is deleted, in ms. */
  readonly lifetimeMs = partialLifetimeMs;
  readonly #files: FileStorage;
  readonly #bytes: PartialFiles;
  /**
   * Keyed by user. The uploads of a user begin one at a time, because beginning an upload counts the user's other
   * uploads.
   */
  readonly #beginning = new KeyedMutex<bigint>();
  /** The uploads that are being completed. A repeated request to complete an upload waits for the same result. */
  readonly #completing = new Map<string, Promise<SharedFile>>();

  constructor(files: FileStorage, bytes: PartialFiles) {
    this.#files = files;
    this.#bytes = bytes;
  }

  /** Prepares this machine's directory for the bytes. Throws CannotStart when that is impossible. */
  async prepare(): Promise<void> {
    await this.#bytes.prepare();
  }

  /**
   * Begins an upload for the asker. If the size is unknown, reserves as much as the limit and the quota allow. Throws
   * TooLarge for an upload over the limit or over what is left of the quota, and RateLimited for a user with too many
   * incomplete uploads. Throws InvalidInput for too much metadata, and StoreFull when there is no room. A failed call
   * leaves nothing behind.
   */
  async begin(asker: Asker, upload: NewPartial): Promise<void> {
    checkNew(upload);
    if (upload.size !== null && upload.size > this.#files.maxUploadBytes) throw overLimit(this.#files.maxUploadBytes);
    await this.#beginning.run(asker.userId, () =>
      inTransaction(this.#db, (transaction) => this.#reserve(transaction, asker, upload)),
    );
    try {
      await this.#bytes.create(upload.id);
    } catch (error) {
      await this.#forget(upload.id);
      throw error;
    }
  }

  /**
   * Finds one of the asker's uploads. Throws NotFound for an upload that belongs to another user, has expired or has
   * been deleted.
   */
  async find(asker: Asker, id: string): Promise<PartialUpload> {
    const upload = await this.#db.prisma.partialUpload.findFirst({
      where: { id, userId: asker.userId, createdAt: { gt: new Date(Date.now() - partialLifetimeMs) } },
    });
    if (upload === null) throw new NotFound('There is no such upload.');
    const { size, reservedBytes } = upload;
    return { ...upload, size: size === null ? null : Number(size), reservedBytes: Number(reservedBytes) };
  }

  /** Returns how many bytes of the upload have arrived. Throws NotFound if the bytes are not on this machine. */
  async offsetOf({ id, size, fileId }: PartialUpload): Promise<number> {
    if (fileId !== null && size !== null) return size;
    const offset = await this.#bytes.sizeOf(id);
    // The bytes are also gone once another node has completed the upload.
    if (offset === null && size !== null && (await this.#findCompleted(id)) !== null) return size;
    if (offset === null) throw new NotFound('The bytes of this upload are not on this node. Start the upload again.');
    return offset;
  }

  /**
   * Declares the size of the whole upload. Declaring the same size again changes nothing. Throws InvalidInput if a
   * different size has been declared before, and TooLarge if the size exceeds the reserved bytes.
   */
  async declareSize({ id, size: known, reservedBytes }: PartialUpload, size: number): Promise<void> {
    if (known === size) return;
    if (known === null && size > reservedBytes) throw overLimit(reservedBytes);
    const { count } = await this.#db.prisma.partialUpload.updateMany({
      where: { id, size: null },
      data: { size: BigInt(size), reservedBytes: BigInt(size) },
    });
    if (count === 1) return;
    const message = known === null ? 'has been declared already' : `was ${known} before and cannot change`;
    throw new InvalidInput([{ path: ['Upload-Length'], code: 'NOT_ALLOWED', message }]);
  }

  /** Appends the bytes; see `PartialFiles.append`. Throws TooLarge as soon as more bytes arrive than are reserved. */
  async append(upload: PartialUpload, offset: number, source: AsyncIterable<Uint8Array>): Promise<number> {
    if (upload.fileId !== null) return offset;
    try {
      return await this.#bytes.append(upload.id, offset, bounded(source, offset, upload.reservedBytes));
    } catch (error) {
      // Another node may have completed the upload since it was looked up.
      if ((await this.#findCompleted(upload.id).catch(() => null)) !== null) return offset;
      throw error;
    }
  }

  /**
   * Turns a complete upload into a file. This happens only once, so a repeated call returns the same file. Returns null
   * while the upload is incomplete. Throws NotFound if the file has been deleted. Also throws the errors of `saveFile`.
   * After InvalidInput, the upload is deleted. After any other error, the caller can try again.
   */
  async complete(asker: Asker, id: string): Promise<SharedFile | null> {
    const upload = await this.find(asker, id);
    if (upload.fileId !== null) return this.#findFile(asker, upload.fileId);
    if (upload.size === null || (await this.offsetOf(upload)) !== upload.size) return null;
    const completing = this.#completing.get(id) ?? this.#keep(asker, upload);
    this.#completing.set(id, completing);
    return completing.finally(() => this.#completing.delete(id));
  }

  /**
   * Deletes an upload with its bytes and its reservation. Throws FileExists if the upload has already become a file.
   */
  async end({ id, fileId }: PartialUpload): Promise<void> {
    if (fileId !== null) throw new FileExists('This upload has already been completed.');
    await this.#remove(id);
  }

  async #remove(id: string): Promise<void> {
    await this.#forget(id);
    await this.#bytes.remove(id);
  }

  /**
   * Deletes expired uploads, and bytes that belong to no incomplete upload (if the user has been deleted, for example).
   * Returns how many uploads had expired.
   */
  async sweep(limit: number): Promise<number> {
    const ids = await this.#bytes.list();
    const { partialUpload } = this.#db.prisma;
    const known = await partialUpload.findMany({ where: { id: { in: ids }, fileId: null }, select: { id: true } });
    const kept = new Set(known.map(({ id }) => id));
    // A row is written before its bytes, so bytes without a row belong to no upload.
    for (const id of ids) if (!kept.has(id)) await this.#bytes.remove(id);
    const expired = await partialUpload.findMany({
      where: { createdAt: { lte: new Date(Date.now() - partialLifetimeMs) } },
      orderBy: { createdAt: 'asc' },
      take: limit,
      select: { id: true },
    });
    for (const { id } of expired) await this.#remove(id);
    return expired.length;
  }

  async #reserve(transaction: Transaction, asker: Asker, upload: NewPartial): Promise<void> {
    const { maxUploadBytes, userQuotaBytes } = this.#files;
    const { partialUpload } = transaction.prisma;
    await lockStorage(transaction, asker);
    if ((await partialUpload.count({ where: { userId: asker.userId, fileId: null } })) >= maxUnfinished) {
      throw new RateLimited(
        `You already have ${maxUnfinished} unfinished uploads. Complete or delete one of them first.`,
        60,
      );
    }
    const quotaLeft = userQuotaBytes - (await countStoredBytes(transaction, asker));
    const reservedBytes = upload.size ?? Math.min(maxUploadBytes, quotaLeft);
    const hasNoRoom = upload.size === null && reservedBytes < 1;
    if (reservedBytes > quotaLeft || hasNoRoom) throw overQuota(userQuotaBytes);
    const { id, metadata, size } = upload;
    await partialUpload.create({
      data: {
        id,
        userId: asker.userId,
        name: cleanFileName(upload.name),
        metadata,
        size: size === null ? null : BigInt(size),
        reservedBytes: BigInt(reservedBytes),
      },
    });
  }

  async #keep(asker: Asker, { id, name }: PartialUpload): Promise<SharedFile> {
    try {
      const staged = await this.#files.store.stage(await this.#bytes.read(id));
      const file = await saveFile(this.#files, asker, { name, staged, partialId: id });
      await this.#bytes.remove(id);
      return file;
    } catch (error) {
      // The content is invalid, so a retry would fail as well.
      if (error instanceof InvalidInput) await this.#remove(id);
      // Another node may have completed the upload first, and removed the bytes while this node was reading them.
      const fileId = await this.#findCompleted(id).catch(() => null);
      if (fileId !== null) return this.#findFile(asker, fileId);
      throw error;
    }
  }

  /** Returns the id of the file that the upload became, or null if it has not become a file. */
  async #findCompleted(id: string): Promise<bigint | null> {
    const upload = await this.#db.prisma.partialUpload.findUnique({ where: { id }, select: { fileId: true } });
    return upload?.fileId ?? null;
  }

  async #findFile(asker: Asker, fileId: bigint): Promise<SharedFile> {
    const [file] = await findVisibleFiles(this.#db, asker, [fileId]);
    if (file === undefined) throw new NotFound('This file has been deleted.');
    return file;
  }

  async #forget(id: string): Promise<void> {
    await this.#db.prisma.partialUpload.deleteMany({ where: { id } });
  }

  get #db(): Db {
    return this.#files.db;
  }
}

/**
 * Creates the housekeeping task that removes abandoned partial uploads. Every node with the role `api` runs it, for the
 * bytes in its own folder.
 */
export function partialChore(partials: PartialUploads): Chore {
  return { name: 'abandoned partial uploads', clear: (limit) => partials.sweep(limit) };
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
