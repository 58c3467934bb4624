import type { FileHandle } from 'node:fs/promises';
import { releaseBytes } from '../../core/bytes.ts';

/** What gathers while the last batch is written; a network brings 64 KiB at a time, each of which would cost a thread's turn. */
const batchBytes = 1024 * 1024;
const batchChunks = 256;
/** After so much the disk is given it, so that at the end there is not all of it left to wait for. */
const syncBytes = 16 * 1024 * 1024;

/** All writers together gather no more: many slow uploads write smaller batches. */
const maxGatheredBytes = 32 * 1024 * 1024;
let gatheredInAll = 0;

/** Writes what comes to a file's end, while more comes: at most two batches of it are in memory. */
export class BatchWriter {
  readonly #file: FileHandle;
  readonly #lasts: boolean;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #unsyncedBytes = 0;
  #isSyncing = false;
  #writing: Promise<void> = Promise.resolve();
  #syncing: Promise<void> = Promise.resolve();

  /** `lasts`: what was written is on the disk itself once it is finished. */
  constructor(file: FileHandle, lasts: boolean) {
    this.#file = file;
    this.#lasts = lasts;
  }

  /** Takes a chunk for good: its memory is released once it is written. Waits while there is too much; rejects with what writing met. */
  async add(chunk: Uint8Array): Promise<void> {
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.length;
    gatheredInAll += chunk.length;
    const isMuch = gatheredInAll > maxGatheredBytes;
    if (isMuch || this.#gatheredBytes >= batchBytes || this.#gathered.length >= batchChunks) await this.#flush();
  }

  /** All of it is written; see `lasts`. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#writing;
    await this.#syncing;
    if (this.#lasts) await this.#file.sync();
  }

  /** Resolves when nothing is under way any more, whatever became of it. */
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
    // Wakes the next waiter.
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

/** A disk that fills up takes a part, and refuses with the next write. */
async function writeWhole(file: FileHandle, batch: Uint8Array[], bytes: number): Promise<void> {
  if (bytes === 0) return;
  const { bytesWritten } = await file.writev(batch);
  const rest = bytesWritten === bytes ? Buffer.alloc(0) : Buffer.concat(batch).subarray(bytesWritten);
  for (const chunk of batch) releaseBytes(chunk);
  for (let offset = 0; offset < rest.length;) {
    offset += (await file.write(rest, offset)).bytesWritten;
  }
}
