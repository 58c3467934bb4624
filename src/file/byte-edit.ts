import { createReadStream } from 'node:fs';
import type { StagedBytes } from './store/store.ts';

/** A part of a file, from `start` (inclusive) to `end` (exclusive). */
export type Span = { start: number; end: number };

/**
 * A part of a file and its replacement. The replacement is empty, consists of other bytes, or is null, which stands for
 * the same number of zeros.
 */
export type Edit = Span & { bytes: Uint8Array | null };

/**
 * Returns the edits that replace these spans with zeros. Overlapping spans are merged, so that no byte is written
 * twice.
 */
export function blankOut(spans: readonly Span[]): Edit[] {
  const merged: Edit[] = [];
  for (const { start, end } of spans.toSorted((one, other) => one.start - other.start)) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else merged.push({ start, end, bytes: null });
  }
  return merged;
}

/**
 * Merges both lists, sorted by position in the file. Drops edits of the second list that overlap an edit of the first.
 */
export function joinEdits(first: readonly Edit[], second: readonly Edit[]): Edit[] {
  const edits: Edit[] = [];
  const isFirst = new Set(first);
  for (const edit of [...first, ...second].toSorted((one, other) => one.start - other.start)) {
    const last = edits.at(-1);
    const overlaps = last !== undefined && edit.start < last.end;
    if (!overlaps) edits.push(edit);
    else if (isFirst.has(edit)) edits.splice(-1, 1, edit);
  }
  return edits;
}

/**
 * Applies these edits, which must be in order and must not overlap. Takes time proportional to the size of the file and
 * the number of edits, and holds only one chunk of the file in memory at a time.
 */
export async function* edited(content: StagedBytes['content'], edits: readonly Edit[]): AsyncGenerator<Buffer> {
  let position = 0;
  let next = 0;
  for await (const chunk of chunksOf(content)) {
    const end = position + chunk.length;
    const pieces: Uint8Array[] = [];
    let at = position;
    for (; ; next += 1) {
      const edit = edits[next];
      if (edit === undefined || edit.start >= end) break;
      if (edit.start >= position) {
        pieces.push(chunk.subarray(at - position, edit.start - position), edit.bytes ?? new Uint8Array());
        at = edit.start;
      }
      const until = Math.min(edit.end, end);
      if (edit.bytes === null) pieces.push(Buffer.alloc(until - at));
      at = until;
      if (edit.end > end) break;
    }
    yield pieces.length === 0 ? chunk : Buffer.concat([...pieces, chunk.subarray(at - position)]);
    position = end;
  }
  const rest = edits.slice(next).filter(({ start }) => start >= position);
  if (rest.length > 0) yield Buffer.concat(rest.map(({ bytes }) => bytes ?? new Uint8Array()));
}

function chunksOf(content: StagedBytes['content']): Iterable<Buffer> | AsyncIterable<Buffer> {
  return typeof content === 'string'
    ? createReadStream(content, { highWaterMark: 256 * 1024 })
    : [Buffer.from(content)];
}
