import { setImmediate } from 'node:timers/promises';
import type { Span } from './byte-edit.ts';
import type { ByteWindow } from './store/byte-window.ts';

/**
 * The changes to make in place: the spans to fill with zeros, and the positions of the type codes (of boxes and items)
 * to replace with `free`.
 */
export type Erasure = { blank: Span[]; free: number[] };

/** The file's boxes are invalid or exceed a limit. */
export class BadBoxes extends Error {}

/** Cameras and recorders write fewer boxes: a fragmented video has two boxes per fragment. */
const maxBoxes = 20_000;
/** The maximum depth to which nested boxes are parsed. It is sufficient for `meta` and for the tracks of a video. */
const maxDepth = 4;
const maxTraces = 1_000;
const maxTableBytes = 256 * 1024;
/**
 * The limit for the total number of entries in all tables. The size of the file does not limit their number: an item
 * takes at least 6 bytes, but an extent may take none.
 */
const maxTableSteps = 20_000;
/** How many boxes that are already in memory are read before the event loop can run other work. */
const boxesPerTurn = 1_000;

type Box = Span & { type: string; body: number };

/**
 * Finds the metadata that says where and with which device a picture or a video was taken, in a file made of boxes
 * (ISO/IEC 14496-12; HEIF is 23008-12): EXIF and XMP items, and boxes for user and application data. All other data
 * stays in place, so that every offset remains valid. Throws BadBoxes if the file can't be read to its end.
 */
export async function findMetadata(file: BoxFile): Promise<Erasure> {
  const erasure: Erasure = { blank: [], free: [] };
  await visit(file, { start: 0, end: file.size, depth: 0 }, erasure);
  return erasure;
}

/** A file that is read box by box. */
export class BoxFile {
  readonly size: number;
  readonly #bytes: ByteWindow;
  #count = 0;
  #stepsLeft = maxTableSteps;

  constructor(bytes: ByteWindow) {
    this.#bytes = bytes;
    this.size = bytes.size;
  }

  /** Yields the boxes that fill a span. */
  async *boxesIn({ start, end }: Span): AsyncGenerator<Box> {
    for (let at = start; at < end;) {
      const box = await this.#boxAt(at, end);
      yield box;
      at = box.end;
    }
  }

  async #boxAt(start: number, limit: number): Promise<Box> {
    if ((this.#count += 1) > maxBoxes) throw new BadBoxes('It has too many boxes.');
    if (this.#count % boxesPerTurn === 0) await setImmediate();
    const head = Buffer.from(await this.#bytes.look(start, 16));
    if (head.length < 8) throw new BadBoxes('A box is incomplete.');
    const size = head.readUInt32BE(0);
    const isLarge = size === 1 && head.length === 16;
    // A size of 0 means that the box extends to the end.
    const length = isLarge ? Number(head.readBigUInt64BE(8)) : size === 0 ? limit - start : size;
    const body = start + (isLarge ? 16 : 8);
    const end = start + length;
    if (end < body || end > limit) throw new BadBoxes('A box is larger than the box around it.');
    return { start, end, body, type: head.toString('latin1', 4, 8) };
  }

  /** Adds to the count of table entries, before the entries are read. Throws BadBoxes when the total is too high. */
  countSteps(count: number): void {
    if ((this.#stepsLeft -= count) < 0) throw new BadBoxes('Its tables have too many entries.');
  }

  /** Reads the table in a box. Throws BadBoxes if the box is larger than the maximum size of a table. */
  async read({ body, end }: Box): Promise<Table> {
    if (end - body > maxTableBytes) throw new BadBoxes('A table is too large.');
    const pieces: Buffer[] = [];
    for (let at = body; at < end;) {
      const piece = Buffer.from(await this.#bytes.look(at, Math.min(end - at, 32 * 1024)));
      if (piece.length === 0) throw new BadBoxes('A table is incomplete.');
      pieces.push(piece);
      at += piece.length;
    }
    return new Table(Buffer.concat(pieces));
  }
}

/** Bytes that are read as a sequence of numbers of any width. */
class Table {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(width: number): number {
    if (this.#at + width > this.#bytes.length) throw new BadBoxes('A table is incomplete.');
    const from = this.#at;
    this.#at += width;
    if (width === 0) return 0;
    if (width === 8) return Number(this.#bytes.readBigUInt64BE(from));
    return this.#bytes.readUIntBE(from, width);
  }

  text(width: number): string {
    const from = this.#at;
    this.require(1, width);
    this.#at += width;
    return this.#bytes.toString('latin1', from, this.#at);
  }

  /** Throws BadBoxes unless at least `count` entries of `width` bytes remain. */
  require(count: number, width: number): void {
    if (count * width > this.#bytes.length - this.#at) throw new BadBoxes('A table is incomplete.');
  }
}

/** Visits the boxes of the whole file, of a video, or of one of the video's tracks. */
async function visit(file: BoxFile, { depth, ...span }: Span & { depth: number }, erasure: Erasure): Promise<void> {
  if (depth > maxDepth) throw new BadBoxes('Its boxes are nested too deep.');
  for await (const box of file.boxesIn(span)) {
    const inside = { start: box.body, end: box.end, depth: depth + 1 };
    if (box.type === 'moov' || box.type === 'trak') await visit(file, inside, erasure);
    else if (box.type === 'meta' && depth === 0) await visitItems(file, box, erasure);
    else if (metadataTypes.has(box.type)) free(box, erasure);
  }
}

/** The types of boxes for user data, for other metadata such as XMP, and for space that editors have left unused. */
const metadataTypes = new Set(['udta', 'uuid', 'meta', 'ilst', 'free', 'skip']);

function free({ start, body, end, type }: Box, erasure: Erasure): void {
  if (type === 'free' && body === end) return;
  if (type !== 'free') rename(start + 4, erasure);
  blank({ start: body, end }, erasure);
}

function rename(position: number, { free: renamed }: Erasure): void {
  if (renamed.push(position) > maxBoxes) throw new BadBoxes('It has too much metadata.');
}

function blank(span: Span, { blank: blanks }: Erasure): void {
  if (blanks.push(span) > maxBoxes) throw new BadBoxes('It has too much metadata.');
}

/** Visits the items of a picture, each of which may be anywhere in the file. */
async function visitItems(file: BoxFile, meta: Box, erasure: Erasure): Promise<void> {
  const boxes = new Map<string, Box>();
  // The version precedes the child boxes.
  for await (const box of file.boxesIn({ start: meta.body + 4, end: meta.end })) {
    if (metadataTypes.has(box.type)) free(box, erasure);
    else boxes.set(box.type, box);
  }
  const [infos, places] = [boxes.get('iinf'), boxes.get('iloc')];
  if (infos === undefined) return;
  const traces = await readMetadataItems(file, infos);
  if (traces.size === 0) return;
  if (places === undefined) throw new BadBoxes('Its items have no locations.');
  const spans = readPlaces(await file.read(places), { file, ids: new Set(traces.keys()), idat: boxes.get('idat') });
  for (const span of spans) blank(span, erasure);
  // Once an item's type is changed, no reader looks for metadata in the zeroed bytes of the item.
  for (const typeAt of traces.values()) if (typeAt !== null) rename(typeAt, erasure);
}

/**
 * Returns the span if it lies within `limit`, else throws BadBoxes. Offsets that are too large to be exact numbers are
 * always outside the file.
 */
function within(span: Span, limit: Span): Span {
  const isThere = span.start >= limit.start && span.start < span.end && span.end <= limit.end;
  if (!isThere) throw new BadBoxes('An item lies outside the file.');
  return span;
}

/**
 * Returns the ids of the items that are not pictures: EXIF, XMP (`mime`), and items identified only by a URI. Each id
 * maps to the position of its type in the file, or to null if it has no type.
 */
async function readMetadataItems(file: BoxFile, infos: Box): Promise<Map<number, number | null>> {
  const version = (await file.read({ ...infos, end: Math.min(infos.end, infos.body + 1) })).take(1);
  const traces = new Map<number, number | null>();
  for await (const box of file.boxesIn({ start: infos.body + 4 + (version === 0 ? 2 : 4), end: infos.end })) {
    const info = await file.read({ ...box, end: Math.min(box.end, box.body + 32) });
    const infoVersion = info.take(1);
    info.take(3);
    const idWidth = infoVersion >= 3 ? 4 : 2;
    const id = info.take(idWidth);
    info.take(2);
    // Older entries have only a media type instead of an item type. Such items are not pictures either.
    const isTyped = infoVersion >= 2;
    const type = isTyped ? info.text(4) : 'mime';
    if (!['Exif', 'mime', 'uri '].includes(type)) continue;
    traces.set(id, isTyped ? box.body + 6 + idWidth : null);
    if (traces.size > maxTraces) throw new BadBoxes('It has too much metadata.');
  }
  return traces;
}

type Places = { file: BoxFile; ids: ReadonlySet<number>; idat: Box | undefined };

/**
 * Returns the spans of these items, including all extents. The number of entries is checked before they are read.
 * Extents whose numbers are 0 bytes wide take up no space, so the file's size does not limit how many extents there
 * are.
 */
function readPlaces(table: Table, { file, ids, idat }: Places): Span[] {
  const version = table.take(1);
  table.take(3);
  const sizes = [table.take(1), table.take(1)].flatMap((pair) => [pair >> 4, pair & 15]);
  const [offsetWidth = 0, lengthWidth = 0, baseWidth = 0, indexWidth = 0] = sizes;
  if (sizes.some((width) => ![0, 4, 8].includes(width)))
    throw new BadBoxes('Its item locations have an unsupported width.');
  const extentWidth = (version > 0 ? indexWidth : 0) + offsetWidth + lengthWidth;
  const itemWidth = (version < 2 ? 2 : 4) + (version > 0 ? 2 : 0) + 4 + baseWidth;
  const items = table.take(version < 2 ? 2 : 4);
  table.require(items, itemWidth);
  file.countSteps(items);
  const spans: Span[] = [];
  for (let left = items; left > 0; left -= 1) {
    const id = table.take(version < 2 ? 2 : 4);
    const method = version === 0 ? 0 : table.take(2) & 15;
    const isElsewhere = table.take(2) !== 0;
    const base = table.take(baseWidth);
    const extents = table.take(2);
    table.require(extents, extentWidth);
    file.countSteps(extents);
    for (let count = 0; count < extents; count += 1) {
      if (version > 0) table.take(indexWidth);
      const offset = base + table.take(offsetWidth);
      const length = table.take(lengthWidth);
      if (!ids.has(id) || isElsewhere) continue;
      if (method > 1 || (method === 1 && idat === undefined)) throw new BadBoxes('An item is built from other items.');
      const limit = method === 1 && idat !== undefined ? { start: idat.body, end: idat.end } : wholeOf(file);
      const start = offset + limit.start;
      spans.push(within({ start, end: start + length }, limit));
    }
  }
  return spans;
}

function wholeOf({ size }: BoxFile): Span {
  return { start: 0, end: size };
}
