import { hash } from 'node:crypto';
import { releaseBytes } from '../../core/bytes.ts';
import { headBytes, type FileStore, type StagedBytes } from './store.ts';

/** The maximum size of a blob that is stored inline; the table enforces the same limit. */
export const maxInlineBytes = 65_536;

/**
 * The maximum number of bytes of unfinished uploads that are held in memory for all senders together, including slow
 * senders.
 */
const maxHeldBytes = 64 * 1024 * 1024;

/**
 * Returns a store like the given one, except that it stages content of at most `limitBytes` in memory. The caller must
 * then save that `content` inline, in its row. Content that would bring the bytes in memory above `heldBytes` goes to
 * the store as well.
 */
export function storeSmallInline(store: FileStore, limitBytes: number, heldBytes = maxHeldBytes): FileStore {
  let leftBytes = heldBytes;
  return {
    prepare: () => store.prepare(),
    stage: async (source) => {
      const chunks = source[Symbol.asyncIterator]();
      let heldHere = 0;
      const letGo = () => {
        leftBytes += heldHere;
        heldHere = 0;
      };
      // Bytes count from the time they arrive, because the bytes of a slow sender stay in memory until the rest
      // arrives.
      const hold = (size: number) => {
        if (size > leftBytes) return false;
        leftBytes -= size;
        heldHere += size;
        return true;
      };
      try {
        const { first, size, isWhole } = await takeFirst(chunks, { limitBytes, hold });
        if (isWhole) return stageInMemory(first, size, letGo);
        letGo();
        return await store.stage(resume(first, chunks));
      } catch (error) {
        letGo();
        throw error;
      }
    },
    open: (key, range) => store.open(key, range),
    remove: (key) => store.remove(key),
    list: (prefix) => store.list(prefix),
    sweepStaged: (before) => store.sweepStaged(before),
    close: () => store.close(),
  };
}

/**
 * The number of chunks that are merged into one. Without merging, a client that sends one byte at a time would make the
 * server hold thousands of objects, each of which is larger than the bytes in it.
 */
const maxPieces = 64;

/** Reads until the source ends, its bytes exceed `limitBytes`, or `hold` refuses a chunk. */
async function takeFirst(
  chunks: AsyncIterator<Uint8Array>,
  { limitBytes, hold }: { limitBytes: number; hold: (size: number) => boolean },
) {
  let first: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await chunks.next();
      if (done === true) return { first, size, isWhole: true };
      first.push(value);
      size += value.length;
      if (size > limitBytes || !hold(value.length)) break;
      if (first.length === maxPieces) first = [Buffer.concat(first, size)];
    }
  } catch (error) {
    await chunks.return?.();
    throw error;
  }
  return { first, size, isWhole: false };
}

function stageInMemory(chunks: readonly Uint8Array[], size: number, letGo: () => void): StagedBytes {
  // The chunks are copied because each of them may be a small part of a larger buffer, which must be freed.
  const content = Buffer.concat(chunks, size);
  for (const chunk of chunks) releaseBytes(chunk);
  let isHeld = true;
  return {
    hash: hash('sha256', content, 'hex'),
    size,
    head: content.subarray(0, headBytes),
    content,
    send: async () => undefined,
    keep: async () => undefined,
    discard: async () => {
      if (isHeld) letGo();
      isHeld = false;
    },
  };
}

/** Yields the chunks already read, then the rest. */
async function* resume(first: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* first;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}
