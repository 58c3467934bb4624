import { open, readdir, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { releaseBytes } from '../../core/bytes.ts';
import { StoreFull } from '../../errors.ts';
import { isFull, prepareFolder, unlessMissing } from './staging.ts';

/**
 * Stores the bytes of uploads that arrive in parts, until the uploads are complete. Each upload has its own file, which
 * is named after the upload's id. The size of the file is the progress of the upload. Nodes that share the folder share
 * the uploads.
 */
export class PartialFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Creates the folder if it does not exist. Throws CannotStart if the folder cannot be used. */
  async prepare(): Promise<void> {
    await prepareFolder(this.#folder);
  }

  /** Creates an empty upload. Throws StoreFull if the disk has no room for it. */
  async create(id: string): Promise<void> {
    try {
      await using _ = await open(this.#pathOf(id), 'wx', 0o600);
    } catch (error) {
      throw explain(error);
    }
  }

  /** Returns how many bytes of the upload have arrived, or null if the upload is not on this machine. */
  async sizeOf(id: string): Promise<number | null> {
    const found = await unlessMissing(stat(this.#pathOf(id)));
    return found?.size ?? null;
  }

  /**
   * Appends the source's bytes at `offset`, which is the upload's current size, and returns the new size. If the source
   * or the disk fails, the bytes that have been written remain. They are synced to the disk, so that a client never has
   * to send acknowledged bytes again. Throws StoreFull if the disk has no room, and the error of the source if the
   * source fails. The method takes ownership of the chunks, as `FileStore.stage` does.
   */
  async append(id: string, offset: number, source: AsyncIterable<Uint8Array>): Promise<number> {
    await using file = await open(this.#pathOf(id), 'r+');
    let position = offset;
    try {
      for await (const chunk of source) {
        for (let done = 0; done < chunk.length;) {
          const { bytesWritten } = await file.write(chunk, done, chunk.length - done, position);
          done += bytesWritten;
          position += bytesWritten;
        }
        releaseBytes(chunk);
      }
    } catch (error) {
      throw explain(error);
    } finally {
      await sync(file);
    }
    return position;
  }

  /** Reads the whole upload. */
  async read(id: string): Promise<AsyncIterable<Uint8Array>> {
    const file = await open(this.#pathOf(id));
    return file.createReadStream({ highWaterMark: 256 * 1024 });
  }

  /** Removes the upload, or does nothing if the upload does not exist. */
  async remove(id: string): Promise<void> {
    await rm(this.#pathOf(id), { force: true });
  }

  /** Lists the ids of all uploads in the folder. */
  async list(): Promise<string[]> {
    return readdir(this.#folder);
  }

  #pathOf(id: string): string {
    if (!/^[A-Za-z0-9_-]+$/.test(id)) throw new Error('that is not the id of an upload');
    return join(this.#folder, id);
  }
}

/** Syncs the file. A full disk may refuse the bytes only at this point, so this function may throw StoreFull, too. */
async function sync(file: FileHandle): Promise<void> {
  try {
    await file.datasync();
  } catch (error) {
    throw explain(error);
  }
}

function explain(error: unknown): unknown {
  return isFull(error) ? new StoreFull({ cause: error }) : error;
}
