import type { ByteWindow } from './store/byte-window.ts';

/** Where something stands in a file: from `start` up to, but without, `end`. */
export type Span = { start: number; end: number };

/** What is to be made of a file in place: spans that become zeros, and boxes whose type becomes `free`. */
export type Erasure = { blank: Span[]; free: number[] };

/** The file is not what it seems to be. */
export class BadBoxes extends Error {}

/** Enough for what cameras write, and little enough to look through. */
const maxBoxes = 20_000;
const maxBlanks = 1_000;
const maxTableBytes = 4 * 1024 * 1024;

type Box = Span & { type: string; body: number };

/**
 * What says where and with what a picture or a film was taken, in a file made of boxes (ISO/IEC 14496-12; HEIF is 23008-12):
 * items of EXIF and XMP, and boxes for users' and programs' own data. Nothing else moves, so that all offsets hold.
 * Throws BadBoxes where it can't be read to its end.
 */
export async function findTraces(file: BoxFile): Promise<Erasure> {
  const erasure: Erasure = { blank: [], free: [] };
  await visit(file, { start: 0, end: file.size }, erasure);
  if (erasure.blank.length > maxBlanks) throw new BadBoxes('There is too much in it.');
  return erasure;
}

/** A file, looked at box by box. */
export class BoxFile {
  readonly size: number;
  readonly #bytes: ByteWindow;
  #count = 0;

  constructor(bytes: ByteWindow) {
    this.#bytes = bytes;
    this.size = bytes.size;
  }

  /** The boxes that fill a span. */
  async *boxesIn({ start, end }: Span): AsyncGenerator<Box> {
    for (let at = start; at < end;) {
      const box = await this.#boxAt(at, end);
      yield box;
      at = box.end;
    }
  }

  async #boxAt(start: number, limit: number): Promise<Box> {
    if ((this.#count += 1) > maxBoxes) throw new BadBoxes('It has too many boxes.');
    const head = Buffer.from(await this.#bytes.look(start, 16));
    if (head.length < 8) throw new BadBoxes('A box breaks off.');
    const size = head.readUInt32BE(0);
    const isLarge = size === 1 && head.length === 16;
    // Size 0: up to the end.
    const length = isLarge ? Number(head.readBigUInt64BE(8)) : size === 0 ? limit - start : size;
    const body = start + (isLarge ? 16 : 8);
    const end = start + length;
    if (end < body || end > limit) throw new BadBoxes('A box is larger than what holds it.');
    return { start, end, body, type: head.toString('latin1', 4, 8) };
  }

  /** What is in a box that has no business to be large. */
  async read({ body, end }: Box): Promise<Table> {
    if (end - body > maxTableBytes) throw new BadBoxes('A table is too large.');
    const pieces: Buffer[] = [];
    for (let at = body; at < end;) {
      const piece = Buffer.from(await this.#bytes.look(at, Math.min(end - at, 32 * 1024)));
      if (piece.length === 0) throw new BadBoxes('A table breaks off.');
      pieces.push(piece);
      at += piece.length;
    }
    return new Table(Buffer.concat(pieces));
  }
}

/** Numbers of any width, one after the other. */
class Table {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(width: number): number {
    if (this.#at + width > this.#bytes.length) throw new BadBoxes('A table breaks off.');
    const from = this.#at;
    this.#at += width;
    if (width === 0) return 0;
    if (width === 8) return Number(this.#bytes.readBigUInt64BE(from));
    return this.#bytes.readUIntBE(from, width);
  }

  text(width: number): string {
    const from = this.#at;
    this.take(0);
    this.#at += width;
    return this.#bytes.toString('latin1', from, this.#at);
  }
}

/** Of the file itself, of a film, of its tracks. */
async function visit(file: BoxFile, span: Span, erasure: Erasure): Promise<void> {
  for await (const box of file.boxesIn(span)) {
    if (box.type === 'moov' || box.type === 'trak') await visit(file, { start: box.body, end: box.end }, erasure);
    else if (box.type === 'meta' && span.start === 0) await visitItems(file, box, erasure);
    else if (traceTypes.has(box.type)) free(box, erasure);
  }
}

/** Users' data, XMP and the like, what films say of themselves, and what editors have left unused. */
const traceTypes = new Set(['udta', 'uuid', 'meta', 'ilst', 'free', 'skip']);

function free({ start, body, end, type }: Box, { blank, free: freed }: Erasure): void {
  if (type === 'free' && body === end) return;
  freed.push(start + 4);
  blank.push({ start: body, end });
}

/** The items of a picture, each somewhere in the file. */
async function visitItems(file: BoxFile, meta: Box, erasure: Erasure): Promise<void> {
  const boxes = new Map<string, Box>();
  // A version stands before its boxes.
  for await (const box of file.boxesIn({ start: meta.body + 4, end: meta.end })) {
    if (traceTypes.has(box.type)) free(box, erasure);
    else boxes.set(box.type, box);
  }
  const [infos, places] = [boxes.get('iinf'), boxes.get('iloc')];
  if (infos === undefined) return;
  const traces = await readTraceItems(file, infos);
  if (traces.size === 0) return;
  if (places === undefined) throw new BadBoxes('Its items are nowhere.');
  const spans = readPlaces(await file.read(places), traces, boxes.get('idat'));
  for (const span of spans) {
    if (span.start >= span.end || span.end > file.size) throw new BadBoxes('An item is not in the file.');
    erasure.blank.push(span);
  }
}

/** The ids of items that are no pictures: EXIF, XMP (`mime`), and what only a URI tells of. */
async function readTraceItems(file: BoxFile, infos: Box): Promise<Set<number>> {
  const version = (await file.read({ ...infos, end: infos.body + 1 })).take(1);
  const traces = new Set<number>();
  for await (const box of file.boxesIn({ start: infos.body + 4 + (version === 0 ? 2 : 4), end: infos.end })) {
    const info = await file.read({ ...box, end: Math.min(box.end, box.body + 32) });
    const infoVersion = info.take(1);
    info.take(3);
    const id = info.take(infoVersion >= 3 ? 4 : 2);
    info.take(2);
    // Older ones have no type, only a media type: they are no pictures either.
    const type = infoVersion >= 2 ? info.text(4) : 'mime';
    if (['Exif', 'mime', 'uri '].includes(type)) traces.add(id);
  }
  return traces;
}

/** Where these items stand, in all their pieces. */
function readPlaces(table: Table, ids: ReadonlySet<number>, idat: Box | undefined): Span[] {
  const version = table.take(1);
  table.take(3);
  const sizes = [table.take(1), table.take(1)].flatMap((pair) => [pair >> 4, pair & 15]);
  const [offsetWidth = 0, lengthWidth = 0, baseWidth = 0, indexWidth = 0] = sizes;
  if (sizes.some((width) => ![0, 4, 8].includes(width))) throw new BadBoxes('Its places have no such width.');
  const spans: Span[] = [];
  for (let left = table.take(version < 2 ? 2 : 4); left > 0; left -= 1) {
    const id = table.take(version < 2 ? 2 : 4);
    const method = version === 0 ? 0 : table.take(2) & 15;
    const isElsewhere = table.take(2) !== 0;
    const base = table.take(baseWidth);
    for (let extents = table.take(2); extents > 0; extents -= 1) {
      if (version > 0) table.take(indexWidth);
      const offset = base + table.take(offsetWidth);
      const length = table.take(lengthWidth);
      if (!ids.has(id) || isElsewhere) continue;
      if (method > 1 || (method === 1 && idat === undefined)) throw new BadBoxes('An item is made of others.');
      const start = offset + (method === 1 ? (idat?.body ?? 0) : 0);
      spans.push({ start, end: start + length });
    }
  }
  return spans;
}
