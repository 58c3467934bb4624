import { open, readdir, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { releaseBytes } from '../../core/bytes.ts';
import { StoreFull } from '../../errors.ts';
import { isFull, prepareFolder, unlessMissing } from './staging.ts';

/**
 * The bytes of uploads that come in pieces, each in a file of its own under its id, until they are whole. How far one has
 * come is how large its file is. Nodes that share the folder share the uploads.
 */
export class PartialFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the folder if it isn't there. Throws CannotStart when it can't be used. */
  async prepare(): Promise<void> {
    await prepareFolder(this.#folder);
  }

  /** Begins one, empty. StoreFull when there is no room for it. */
  async create(id: string): Promise<void> {
    try {
      await using _ = await open(this.#pathOf(id), 'wx', 0o600);
    } catch (error) {
      throw explain(error);
    }
  }

  /** How many of its bytes are there; null for one that is not on this machine. */
  async sizeOf(id: string): Promise<number | null> {
    const found = await unlessMissing(stat(this.#pathOf(id)));
    return found?.size ?? null;
  }

  /**
   * Writes on from `offset`, which is where it has come to. What came before the source or the disk failed stays; on the
   * disk itself, so that nothing that was acknowledged has to be sent again. Returns the new size. StoreFull when there is
   * no room, else rejects with what the source throws. The chunks are given away, as to `FileStore.stage`.
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

  /** All of it. */
  async read(id: string): Promise<AsyncIterable<Uint8Array>> {
    const file = await open(this.#pathOf(id));
    return file.createReadStream({ highWaterMark: 256 * 1024 });
  }

  /** Does nothing when it isn't there. */
  async remove(id: string): Promise<void> {
    await rm(this.#pathOf(id), { force: true });
  }

  /** The ids of all that are there. */
  async list(): Promise<string[]> {
    return readdir(this.#folder);
  }

  #pathOf(id: string): string {
    if (!/^[A-Za-z0-9_-]+$/.test(id)) throw new Error('that is not the id of an upload');
    return join(this.#folder, id);
  }
}

/** A disk that has no room left may still refuse here: what was said before is what counts. */
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
