import { hash } from 'node:crypto';
import { releaseBytes } from '../../core/bytes.ts';
import { headBytes, type FileStore, type StagedBytes } from './store.ts';

/** What one blob has inline at most; the table holds that too. */
export const maxInlineBytes = 65_536;

/** How many bytes of uploads in progress may be in memory, over all senders, however slow they are. */
const maxHeldBytes = 64 * 1024 * 1024;

/**
 * The same store, but for what has at most `limitBytes`: that is staged in memory, and its `content` is to be kept by the
 * caller, inline in its row. When there are `heldBytes` in memory already, it is left to the store as well.
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
      // Counted as they come: who sends the rest slowly holds them all the while.
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

/** Who sends byte by byte would otherwise have thousands of objects kept for them, larger than what they hold. */
const maxPieces = 64;

/** Until there are more than `limitBytes`, no more, or more than may be held. */
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
  // Copied, for a chunk may be a small part of a buffer that has to go.
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

/** What was taken already, and then the rest. */
async function* resume(first: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* first;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}
