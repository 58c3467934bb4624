import { hash } from 'node:crypto';
import { releaseBytes } from '../bytes.ts';
import { headBytes, type FileStore, type StagedBytes } from './store.ts';

/** What one blob has inline at most; the table holds that too. */
export const maxInlineBytes = 65_536;

/**
 * The same store, but for what has at most `limitBytes`: that is staged in memory, and its `content` is to be kept by the
 * caller, inline in its row.
 */
export function keepSmallInline(store: FileStore, limitBytes: number): FileStore {
  return {
    prepare: () => store.prepare(),
    stage: async (source) => {
      const chunks = source[Symbol.asyncIterator]();
      const first: Uint8Array[] = [];
      let size = 0;
      try {
        while (size <= limitBytes) {
          const { done, value } = await chunks.next();
          if (done === true) return stageInMemory(first, size);
          first.push(value);
          size += value.length;
        }
      } catch (error) {
        await chunks.return?.();
        throw error;
      }
      return store.stage(resume(first, chunks));
    },
    open: (key, range) => store.open(key, range),
    remove: (key) => store.remove(key),
    list: (prefix) => store.list(prefix),
    sweepStaged: (before) => store.sweepStaged(before),
    close: () => store.close(),
  };
}

function stageInMemory(chunks: readonly Uint8Array[], size: number): StagedBytes {
  // Copied, for a chunk may be a small part of a buffer that has to go.
  const content = Buffer.concat(chunks, size);
  for (const chunk of chunks) releaseBytes(chunk);
  return {
    hash: hash('sha256', content, 'hex'),
    size,
    head: content.subarray(0, headBytes),
    content,
    send: async () => undefined,
    keep: async () => undefined,
    discard: async () => undefined,
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
