import { createHash, randomUUID } from 'node:crypto';
import { access, constants, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CannotStart, StoreFull } from '../../errors.ts';
import { BatchWriter } from './batch-writer.ts';
import { headBytes, type StagedBytes } from './store.ts';

/** No room on the disk, none left of a quota, or a file larger than the process or the file system allows. */
const fullCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** What came in, in a file of its own; whatever store it is meant for. */
export type TakenBytes = Pick<StagedBytes, 'hash' | 'size' | 'head' | 'discard'> & { path: string };

/** A local folder where incoming bytes are collected until they are complete and saved or discarded. */
export class Staging {
  readonly #folder: string;
  readonly #lasts: boolean;

  /** `lasts`: what has come in has reached the disk itself, for it is renamed to where it stays. */
  constructor(folder: string, { lasts }: { lasts: boolean }) {
    this.#folder = folder;
    this.#lasts = lasts;
  }

  /** Makes the folder if it isn't there. Throws CannotStart when it can't be used. */
  async prepare(): Promise<void> {
    await prepareFolder(this.#folder);
  }

  /** Writes the bytes down and hashes them on the way. As `FileStore.stage`. */
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

  /** Removes what came in before that. Says how many. */
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
      // While this thread hashes, others write what came before.
      hash.update(chunk);
      await writer.add(chunk);
    }
    await writer.finish();
  } finally {
    // Nothing may go on in a file that is closed.
    await writer.settle();
  }
  return { hash: hash.digest('hex'), size, head: Buffer.concat(head) };
}

/** Makes the folder if it isn't there. Throws CannotStart when it can't be used. */
export async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await access(folder, constants.W_OK);
  } catch (error) {
    throw new CannotStart(`Cannot write files to ${folder}: ${(error as Error).message}.`, { cause: error });
  }
}

/** What it reads; null where there is no such file. */
export async function unlessMissing<Value>(reading: Promise<Value>): Promise<Value | null> {
  return reading.catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  });
}

/** Whether that is what the system says when there is no room. */
export function isFull(error: unknown): boolean {
  return fullCodes.has(codeOf(error) ?? '');
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error ? String(error.code) : null;
}
