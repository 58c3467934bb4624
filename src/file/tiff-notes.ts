import { blankOut, joinEdits, type Edit, type Span } from './byte-edit.ts';
import { UnclearPicture, type PictureWalk } from './picture-walk.ts';

/**
 * The tags that a decoder needs (TIFF 6.0, its supplements, and 34675: the colour profile). All other tags are removed,
 * including those for cameras, applications, people and places (GPS, EXIF, XMP, IPTC, GeoTIFF).
 */
const seenTags = new Set([
  ...[
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 286, 287,
  ],
  ...[
    288, 289, 290, 291, 292, 293, 296, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 334, 336, 338,
  ],
  ...[339, 340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 34675],
]);
/** The tag of directories with smaller versions of the same picture, which are cleaned as well. */
const subDirectories = 330;
/** Directories of metadata: EXIF, GPS, interoperability. */
const noteDirectories = new Set([34665, 34853, 40965]);

/** The size of one value in bytes, by type. */
const valueBytes: Record<number, number> = {
  ...{ 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8 },
};

const maxDirectories = 1_000;
const maxEntries = 20_000;

/** The number format: the byte order, and the width of offsets (8 bytes in a BigTIFF). */
type Format = { isLittle: boolean; isBig: boolean };
type Entry = { tag: number; value: Span; isInline: boolean; count: number; width: number; raw: Buffer };

/**
 * Finds edits that remove, in place, the data in a TIFF that a viewer does not display. The edits remove tags from
 * their directory, which then has fewer entries, and zero the values of these tags. Offsets and all displayed data stay
 * unchanged. Throws UnclearPicture if the directories can't be followed.
 */
export async function findTiffNotes(walk: PictureWalk): Promise<void> {
  const head = await walk.look(0, 16);
  const isLittle = head.toString('latin1', 0, 2) === 'II';
  const format = { isLittle, isBig: readNumber(head, { at: 2, width: 2, isLittle }) === 43 };
  const cleaning = new Cleaning(walk, format);
  await cleaning.follow(readNumber(head, { at: format.isBig ? 8 : 4, width: format.isBig ? 8 : 4, isLittle }));
  walk.edits.push(...cleaning.edits());
}

class Cleaning {
  readonly #walk: PictureWalk;
  readonly #format: Format;
  readonly #seen = new Set<number>();
  readonly #blank: Span[] = [];
  readonly #directories: Edit[] = [];
  #entries = 0;

  constructor(walk: PictureWalk, format: Format) {
    this.#walk = walk;
    this.#format = format;
  }

  edits(): Edit[] {
    if (this.#directories.length === 0) return [];
    // Where the edits overlap, which happens only in hostile files, the bytes are zeroed.
    return joinEdits(blankOut(this.#blank), this.#directories);
  }

  /** Cleans the pages of a picture, following the chain of directories. */
  async follow(first: number): Promise<void> {
    for (let at = first; at !== 0;) at = await this.#cleanDirectory(at, false);
  }

  /**
   * Cleans a directory, and returns the position of the next directory to clean, or 0 if there is none. `isNote` says
   * whether the directory contains only metadata.
   */
  async #cleanDirectory(at: number, isNote: boolean): Promise<number> {
    if (this.#seen.has(at)) return 0;
    if (this.#seen.size === maxDirectories) throw new UnclearPicture('It has too many directories.');
    this.#seen.add(at);
    const { isBig } = this.#format;
    const [countWidth, entryWidth, nextWidth] = isBig ? [8, 20, 8] : [2, 12, 4];
    const count = await this.#read(at, countWidth);
    if ((this.#entries += count) > maxEntries) throw new UnclearPicture('It has too many tags.');
    const end = at + countWidth + count * entryWidth;
    if (end + nextWidth > this.#walk.size) throw new UnclearPicture('A directory lies outside the file.');
    const kept: Buffer[] = [];
    for (let index = 0; index < count; index += 1) {
      const entry = await this.#entryAt(at + countWidth + index * entryWidth);
      if (!isNote && seenTags.has(entry.tag)) {
        kept.push(entry.raw);
        if (entry.tag === subDirectories) await this.#followSome(entry, false);
      } else await this.#drop(entry);
    }
    const next = await this.#read(end, nextWidth);
    if (isNote) this.#blank.push({ start: at, end: end + nextWidth });
    else if (kept.length < count) this.#rewrite({ at, end: end + nextWidth, countWidth, nextWidth }, kept, next);
    return isNote ? 0 : next;
  }

  #rewrite(
    { at, end, countWidth, nextWidth }: { at: number; end: number; countWidth: number; nextWidth: number },
    kept: readonly Buffer[],
    next: number,
  ): void {
    const bytes = Buffer.concat(
      [this.#write(kept.length, countWidth), ...kept, this.#write(next, nextWidth)],
      end - at,
    );
    this.#directories.push({ start: at, end, bytes });
  }

  async #drop(entry: Entry): Promise<void> {
    if (noteDirectories.has(entry.tag)) await this.#followSome(entry, true);
    if (!entry.isInline) this.#blank.push(entry.value);
  }

  /** Cleans the directories that a value points to. */
  async #followSome({ value, count, width, isInline, raw }: Entry, isNote: boolean): Promise<void> {
    if (count > maxDirectories || width < 4) throw new UnclearPicture('It has too many directories.');
    for (let index = 0; index < count; index += 1) {
      const at = isInline
        ? readNumber(raw, { at: value.start + index * width, width, isLittle: this.#format.isLittle })
        : await this.#read(value.start + index * width, width);
      if (at !== 0) await this.#cleanDirectory(at, isNote);
    }
  }

  /** `value` is the position of the value, within `raw` if `isInline` and otherwise within the file. */
  async #entryAt(at: number): Promise<Entry> {
    const { isBig, isLittle } = this.#format;
    const [entryWidth, offsetWidth] = isBig ? [20, 8] : [12, 4];
    const raw = await this.#walk.look(at, entryWidth);
    const tag = readNumber(raw, { at: 0, width: 2, isLittle });
    const width = valueBytes[readNumber(raw, { at: 2, width: 2, isLittle })] ?? 1;
    const count = readNumber(raw, { at: 4, width: offsetWidth, isLittle });
    const size = count * width;
    const inlineAt = 4 + offsetWidth;
    if (size <= offsetWidth)
      return { tag, value: { start: inlineAt, end: inlineAt + size }, isInline: true, count, width, raw };
    const start = readNumber(raw, { at: inlineAt, width: offsetWidth, isLittle });
    if (start + size > this.#walk.size) {
      if (!seenTags.has(tag)) return { tag, value: { start: 0, end: 0 }, isInline: false, count: 0, width, raw };
      throw new UnclearPicture('A value lies outside the file.');
    }
    return { tag, value: { start, end: start + size }, isInline: false, count, width, raw };
  }

  async #read(at: number, width: number): Promise<number> {
    const bytes = await this.#walk.look(at, width);
    if (bytes.length < width) throw new UnclearPicture('A number lies outside the file.');
    return readNumber(bytes, { at: 0, width, isLittle: this.#format.isLittle });
  }

  #write(value: number, width: number): Buffer {
    const bytes = Buffer.alloc(8);
    if (this.#format.isLittle) bytes.writeBigUInt64LE(BigInt(value));
    else bytes.writeBigUInt64BE(BigInt(value));
    return this.#format.isLittle ? bytes.subarray(0, width) : bytes.subarray(8 - width);
  }
}

/** Numbers too large to be exact are never valid positions in a file. */
function readNumber(bytes: Buffer, { at, width, isLittle }: { at: number; width: number; isLittle: boolean }): number {
  if (at + width > bytes.length) throw new UnclearPicture('A number lies outside the file.');
  if (width === 8) return Number(isLittle ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
  return isLittle ? bytes.readUIntLE(at, width) : bytes.readUIntBE(at, width);
}
