import type { Edit } from './byte-edit.ts';
import type { ByteWindow } from './store/byte-window.ts';

/** What a picture holds can't be told apart in a bounded number of steps. */
export class UnclearPicture extends Error {}

const maxSteps = 100_000;
/** An edit costs memory, so there are fewer of them than of steps. */
const maxEdits = 20_000;
/** Compressed data is gone through in strides, between which others have their turn. */
const strideBytes = 32 * 1024;

/**
 * One way through a picture's file, from its first byte to its last: what a viewer doesn't see is noted to be cut. Steps and
 * edits are counted before they are made; UnclearPicture where there are too many.
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

  /** So many bytes from there on, or fewer where the file ends. They are the caller's own. */
  async look(position: number, size: number): Promise<Buffer> {
    if ((this.#stepsLeft -= 1) < 0) throw new UnclearPicture('It has too many parts.');
    return Buffer.from(await this.bytes.look(position, size));
  }

  /** Drops that part, as far as the file goes. */
  cut(start: number, end: number): void {
    this.#add({ start, end: Math.min(end, this.size), bytes: new Uint8Array() });
  }

  /** Puts zeros there, as far as the file goes. */
  blank(start: number, end: number): void {
    this.#add({ start, end: Math.min(end, this.size), bytes: null });
  }

  /** Writes other bytes over those that stand there. */
  overwrite(start: number, bytes: Uint8Array): void {
    this.#add({ start, end: start + bytes.length, bytes });
  }

  insert(at: number, bytes: Uint8Array): void {
    this.#add({ start: at, end: at, bytes }, true);
  }

  /** Where the first byte stands, from there on, for which `find` gives an index in what it is shown; null: nowhere. */
  async seek(position: number, find: (seen: Buffer) => number | null, overlap = 0): Promise<number | null> {
    for (let at = position; ;) {
      const seen = await this.bytes.look(at, strideBytes);
      if (seen.length <= overlap) return null;
      const found = find(seen);
      if (found !== null) return at + found;
      at += seen.length - overlap;
    }
  }

  /** The end of a GIF's sub-blocks, each of which begins with its length; null where the file ends before. */
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
