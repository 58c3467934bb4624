import { createHash, randomUUID } from 'node:crypto';
import { access, constants, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CannotStart, StoreFull } from '../../errors.ts';
import { BatchWriter } from './batch-writer.ts';
import { headBytes, type StagedBytes } from './store.ts';

/**
 * The codes of errors that mean that there is no room: the disk is full, the quota is used up, or the file exceeds the
 * limit of the process or the file system.
 */
const fullCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/**
 * Bytes that have arrived completely and are stored in a separate file, regardless of the store for which they are
 * intended.
 */
export type TakenBytes = Pick<StagedBytes, 'hash' | 'size' | 'head' | 'discard'> & { path: string };

/** A local folder where incoming bytes are collected until they are complete and saved or discarded. */
export class Staging {
  readonly #folder: string;
  readonly #lasts: boolean;

  /**
   * `lasts` specifies whether the files will later be renamed to their final path. If so, they are synced to the disk
   * when they are written.
   */
  constructor(folder: string, { lasts }: { lasts: boolean }) {
    this.#folder = folder;
    this.#lasts = lasts;
  }

  /** Creates the folder if it does not exist. Throws CannotStart if the folder cannot be used. */
  async prepare(): Promise<void> {
    await prepareFolder(this.#folder);
  }

  /** Writes the bytes to a file and hashes them at the same time, as `FileStore.stage` does. */
  async take(source: AsyncIterable<Uint8Array>): Promise<TakenBytes> {
    const path = join(this.#folder, randomUUID());
    const discard = () => rm(path, { force: true });
    try {
      return { ...(await write(path, source, this.#lasts)), path, discard };
    } catch (error) {
      await discard();
      throw isFull(error) ? new StoreFull({ cause: error }) : error;
    }
  }

  /** Removes the files that were last modified before the given time, and returns how many files it removed. */
  async sweep(before: Date): Promise<number> {
    let count = 0;
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name);
      const found = await unlessMissing(stat(path));
      if (found === null || found.mtime >= before) continue;
      await rm(path, { force: true });
      count += 1;
    }
    return count;
  }
}

async function write(path: string, source: AsyncIterable<Uint8Array>, lasts: boolean) {
  await using file = await open(path, 'wx', 0o600);
  const writer = new BatchWriter(file, lasts);
  const hash = createHash('sha256');
  const head: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of source) {
      if (size < headBytes) head.push(Buffer.from(chunk.subarray(0, headBytes - size)));
      size += chunk.length;
      // While this thread hashes, other threads write the previous chunks.
      hash.update(chunk);
      await writer.add(chunk);
    }
    await writer.finish();
  } finally {
    // No write or sync may still be in progress when the file is closed.
    await writer.settle();
  }
  return { hash: hash.digest('hex'), size, head: Buffer.concat(head) };
}

/** Creates the folder if it does not exist. Throws CannotStart if the folder cannot be used. */
export async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await access(folder, constants.W_OK);
  } catch (error) {
    throw new CannotStart(`Cannot write files to ${folder}: ${(error as Error).message}.`, { cause: error });
  }
}

/** Resolves with the result of `reading`, or with null if the file does not exist. */
export async function unlessMissing<Value>(reading: Promise<Value>): Promise<Value | null> {
  return reading.catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  });
}

/** Whether this is one of the errors that the system returns when there is no room. */
export function isFull(error: unknown): boolean {
  return fullCodes.has(codeOf(error) ?? '');
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error ? String(error.code) : null;
}
