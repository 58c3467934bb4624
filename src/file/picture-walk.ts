import type { Edit } from './byte-edit.ts';
import type { ByteWindow } from './store/byte-window.ts';

/** The contents of a picture can't be analyzed in a limited number of steps. */
export class UnclearPicture extends Error {}

const maxSteps = 100_000;
/** Edits take up memory, so this limit is lower than the limit for steps. */
const maxEdits = 20_000;
/** The server reads compressed data in pieces of this size, so that the event loop can run other work between them. */
const strideBytes = 32 * 1024;

/**
 * A single pass over a picture's file, from the first byte to the last. It records edits that remove the data that a
 * viewer does not display. Counts the steps and edits, and throws UnclearPicture if there are too many.
 */
export class PictureWalk {
  readonly bytes: ByteWindow;
  readonly size: number;
  readonly edits: Edit[] = [];
  #stepsLeft = maxSteps;

  constructor(bytes: ByteWindow) {
    this.bytes = bytes;
    this.size = bytes.size;
  }

  /** Returns `size` bytes from `position`, or fewer at the end of the file. The caller owns the returned buffer. */
  async look(position: number, size: number): Promise<Buffer> {
    if ((this.#stepsLeft -= 1) < 0) throw new UnclearPicture('It has too many parts.');
    return Buffer.from(await this.bytes.look(position, size));
  }

  /** Removes the bytes from `start` up to `end`, or up to the end of the file. */
  cut(start: number, end: number): void {
    this.#add({ start, end: Math.min(end, this.size), bytes: new Uint8Array() });
  }

  /** Zeroes the bytes from `start` up to `end`, or up to the end of the file. */
  blank(start: number, end: number): void {
    this.#add({ start, end: Math.min(end, this.size), bytes: null });
  }

  /** Overwrites the bytes at `start`. */
  overwrite(start: number, bytes: Uint8Array): void {
    this.#add({ start, end: start + bytes.length, bytes });
  }

  insert(at: number, bytes: Uint8Array): void {
    this.#add({ start: at, end: at, bytes }, true);
  }

  /**
   * Returns the first position at or after `position` where `find` finds something, or null if there is none. `find`
   * returns an index into the bytes that it receives, or null.
   */
  async seek(position: number, find: (seen: Buffer) => number | null, overlap = 0): Promise<number | null> {
    for (let at = position; ;) {
      const seen = await this.bytes.look(at, strideBytes);
      if (seen.length <= overlap) return null;
      const found = find(seen);
      if (found !== null) return at + found;
      at += seen.length - overlap;
    }
  }

  /**
   * Returns the end of a GIF's sub-blocks, each of which begins with its length, or null if the file ends before the
   * sub-blocks do.
   */
  async endOfSubBlocks(position: number): Promise<number | null> {
    for (let at = position; ;) {
      const seen = await this.bytes.look(at, strideBytes);
      if (seen.length === 0) return null;
      let index = 0;
      for (; index < seen.length; index += 1 + (seen[index] ?? 0)) if (seen[index] === 0) return at + index + 1;
      at += index;
    }
  }

  #add(edit: Edit, mayBeEmpty = false): void {
    if (edit.start >= edit.end && !mayBeEmpty) return;
    if (this.edits.push(edit) > maxEdits) throw new UnclearPicture('It has too many parts.');
  }
}
