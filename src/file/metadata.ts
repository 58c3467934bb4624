import { createReadStream } from 'node:fs';
import { InvalidInput } from '../errors.ts';
import { ByteWindow } from './store/byte-window.ts';
import type { FileStore, StagedBytes } from './store/store.ts';
import { BadBoxes, BoxFile, findTraces, type Erasure } from './iso-bmff.ts';

/** Pictures that nothing here can decode (there is no free decoder for HEVC), and films. */
const pictureTypes = new Set(['image/heic', 'image/heic-sequence', 'image/heif', 'image/heif-sequence']);
const filmTypes = new Set(['video/mp4', 'video/quicktime', 'video/x-m4v']);

/**
 * The same file without what it says of where and with what it was taken: written anew, its other bytes as they were. Of a
 * type that needs no such thing, or when there is nothing in it, it is what was staged. Throws InvalidInput for a broken
 * picture, of which nobody knows what it says; a broken film, as a recorder leaves one that loses power, stays as it is.
 */
export async function eraseTraces(store: FileStore, contentType: string, staged: StagedBytes): Promise<StagedBytes> {
  if (!pictureTypes.has(contentType) && !filmTypes.has(contentType)) return staged;
  try {
    const erasure = await look(staged);
    const isClean = erasure.blank.length === 0 && erasure.free.length === 0;
    return isClean ? staged : await store.stage(erased(staged.content, erasure));
  } catch (error) {
    if (!(error instanceof BadBoxes)) throw error;
    if (filmTypes.has(contentType)) return staged;
    throw new InvalidInput([{ path: ['file'], code: 'MALFORMED', message: 'is a broken picture' }]);
  }
}

async function look({ content }: StagedBytes): Promise<Erasure> {
  await using bytes = await ByteWindow.open(content);
  return await findTraces(new BoxFile(bytes));
}

async function* erased(content: StagedBytes['content'], { blank, free }: Erasure): AsyncGenerator<Buffer> {
  let position = 0;
  for await (const chunk of chunksOf(content)) {
    for (const { start, end } of blank) {
      if (start < position + chunk.length && end > position) {
        chunk.fill(0, Math.max(0, start - position), Math.min(chunk.length, end - position));
      }
    }
    for (const start of free) overlay(chunk, start - position);
    position += chunk.length;
    yield chunk;
  }
}

/** For the reader to change. */
function chunksOf(content: StagedBytes['content']): Iterable<Buffer> | AsyncIterable<Buffer> {
  return typeof content === 'string'
    ? createReadStream(content, { highWaterMark: 256 * 1024 })
    : [Buffer.from(content)];
}

/** Writes `free` there, or as much of it as falls into the chunk. */
function overlay(chunk: Buffer, at: number): void {
  for (const [index, character] of Buffer.from('free').entries()) {
    if (at + index >= 0 && at + index < chunk.length) chunk[at + index] = character;
  }
}
