import type { FileHandle } from 'node:fs/promises';
import { releaseBytes } from '../../core/bytes.ts';

/**
 * The maximum number of bytes and of chunks that a batch collects while the previous batch is being written. The
 * network delivers 64 KiB at a time, and writing each of those chunks separately would take one thread-pool task per
 * chunk.
 */
const batchBytes = 1024 * 1024;
const batchChunks = 256;
/**
 * After this many unsynced bytes, the writer starts a sync, so that `finish` does not have to wait for all bytes to be
 * synced.
 */
const syncBytes = 16 * 1024 * 1024;

/** The limit for all writers together. If there are many slow uploads, each writer writes smaller batches. */
const maxGatheredBytes = 32 * 1024 * 1024;
let gatheredInAll = 0;

/** Appends chunks to a file while further chunks arrive. At most two batches per file are in memory. */
export class BatchWriter {
  readonly #file: FileHandle;
  readonly #lasts: boolean;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #unsyncedBytes = 0;
  #isSyncing = false;
  #writing: Promise<void> = Promise.resolve();
  #syncing: Promise<void> = Promise.resolve();

  /** `lasts` says whether all written bytes are synced to the disk by the time `finish` resolves. */
  constructor(file: FileHandle, lasts: boolean) {
    this.#file = file;
    this.#lasts = lasts;
  }

  /**
   * Takes ownership of a chunk, and releases its memory once the chunk is written. If the current batch is full, waits
   * until the previous batch is written, and rejects with the error if a write has failed.
   */
  async add(chunk: Uint8Array): Promise<void> {
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.length;
    gatheredInAll += chunk.length;
    const isMuch = gatheredInAll > maxGatheredBytes;
    if (isMuch || this.#gatheredBytes >= batchBytes || this.#gathered.length >= batchChunks) await this.#flush();
  }

  /** Writes the remaining chunks. If the writer was created with `lasts`, also syncs the file to the disk. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#writing;
    await this.#syncing;
    if (this.#lasts) await this.#file.sync();
  }

  /**
   * Drops the chunks that are not written yet. Resolves when no write or sync is in progress, even if one of them
   * failed.
   */
  async settle(): Promise<void> {
    gatheredInAll -= this.#gatheredBytes;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    await Promise.allSettled([this.#writing, this.#syncing]);
  }

  async #flush(): Promise<void> {
    const batch = this.#gathered;
    const bytes = this.#gatheredBytes;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    gatheredInAll -= bytes;
    await this.#writing;
    this.#writing = writeWhole(this.#file, batch, bytes);
    // The next `await` of this promise reports the error; until then the rejection must not count as unhandled.
    this.#writing.catch(() => undefined);
    this.#unsyncedBytes += bytes;
    if (this.#lasts && !this.#isSyncing && this.#unsyncedBytes >= syncBytes) this.#startSync();
  }

  #startSync(): void {
    this.#unsyncedBytes = 0;
    this.#isSyncing = true;
    this.#syncing = this.#file.datasync().finally(() => (this.#isSyncing = false));
    this.#syncing.catch(() => undefined);
  }
}

/** Writes the whole batch. If the disk becomes full, it accepts part of a write, and only the next write fails. */
async function writeWhole(file: FileHandle, batch: Uint8Array[], bytes: number): Promise<void> {
  if (bytes === 0) return;
  const { bytesWritten } = await file.writev(batch);
  const rest = bytesWritten === bytes ? Buffer.alloc(0) : Buffer.concat(batch).subarray(bytesWritten);
  for (const chunk of batch) releaseBytes(chunk);
  for (let offset = 0; offset < rest.length;) {
    offset += (await file.write(rest, offset)).bytesWritten;
  }
}
