import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { Staging, unlessMissing } from './staging.ts';
import type { FileStore, StagedBytes } from './store.ts';

/**
 * The maximum size of a range that is read in a single call, which needs half as many file system calls as a stream.
 */
const smallBytes = 64 * 1024;

/** Stores bytes as files in a folder, at `ab/cdef…`. Incoming bytes stay under `incoming/` until they are complete. */
export class LocalStore implements FileStore {
  readonly #folder: string;
  readonly #staging: Staging;

  constructor(folder: string) {
    this.#folder = folder;
    this.#staging = new Staging(join(folder, 'incoming'), { lasts: true });
  }

  /** Creates the folder if it does not exist. Throws CannotStart if the folder cannot be used. */
  async prepare(): Promise<void> {
    await this.#staging.prepare();
  }

  async stage(source: AsyncIterable<Uint8Array>): Promise<StagedBytes> {
    const taken = await this.#staging.take(source);
    let isKept = false;
    return {
      ...taken,
      content: taken.path,
      send: async () => undefined,
      keep: async () => {
        await this.#keep(taken.path, taken.hash);
        isKept = true;
      },
      discard: async () => (isKept ? undefined : taken.discard()),
    };
  }

  async open(hash: string, { start, end }: { start: number; end: number }) {
    const handle = await unlessMissing(open(this.#pathOf(hash)));
    const size = end - start + 1;
    if (handle === null || size > smallBytes) {
      return handle?.createReadStream({ start, end, highWaterMark: 256 * 1024 }) ?? null;
    }
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafeSlow(size), 0, size, start);
      return Readable.from([buffer.subarray(0, bytesRead)]);
    } finally {
      await handle.close();
    }
  }

  async remove(hash: string): Promise<void> {
    await rm(this.#pathOf(hash), { force: true });
  }

  async list(prefix: string): Promise<string[]> {
    const names = (await unlessMissing(readdir(join(this.#folder, prefix)))) ?? [];
    return names.map((name) => prefix + name).filter((hash) => /^[0-9a-f]{64}$/.test(hash));
  }

  async sweepStaged(before: Date): Promise<number> {
    return this.#staging.sweep(before);
  }

  close(): void {}

  async #keep(path: string, hash: string): Promise<void> {
    const target = this.#pathOf(hash);
    const folder = dirname(target);
    // The folder usually exists already, because there are only 256 possible folders.
    if ((await unlessMissing(rename(path, target))) === null) {
      // A new folder also has an entry in its parent folder, and that entry must be durable as well.
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await sync(this.#folder);
      await rename(path, target);
    }
    await sync(folder);
  }

  #pathOf(hash: string): string {
    return join(this.#folder, hash.slice(0, 2), hash.slice(2));
  }
}

/** Syncs a folder to the disk, because a rename is durable only once its folder has been written. */
async function sync(folder: string): Promise<void> {
  await using handle = await open(folder);
  await handle.sync();
}
