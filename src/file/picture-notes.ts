import { jpegOrientation, pngOrientation, webpOrientation } from './orientation-note.ts';
import type { PictureWalk } from './picture-walk.ts';

/**
 * Finds the data in a picture that a viewer does not display (comments, application data, camera data, and anything
 * after the end of the picture), and records edits that remove it. The displayed data stays the same byte for byte,
 * even in a truncated picture. An `orientation` other than 1 is kept, in a metadata entry that holds nothing else.
 */
export type NoteFinder = (walk: PictureWalk, orientation: number) => Promise<void>;

/** The application segments that a decoder needs: JFIF, the colour profile, Adobe's colour transform. */
const jpegApplications: Record<number, string> = { 0xe0: 'JFIF\0', 0xe2: 'ICC_PROFILE\0', 0xee: 'Adobe' };

/**
 * Returns whether the marker has no length, which is the case for the start of the image, for restarts, and for a
 * marker for temporary use.
 */
const isBareMarker = (marker: number) => marker === 0xd8 || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7);

/** See ITU-T T.81, annex B. */
export async function findJpegNotes(walk: PictureWalk, orientation: number): Promise<void> {
  if (orientation !== 1) walk.insert(2, jpegOrientation(orientation));
  for (let position = 2; position < walk.size;) {
    const head = await walk.look(position, 16);
    const [prefix, marker = 0] = head;
    if (prefix !== 0xff) {
      // Decoders skip these bytes up to the next marker.
      const next = await walk.seek(position, (seen) => orNull(seen.indexOf(0xff)));
      walk.cut(position, next ?? walk.size);
      position = next ?? walk.size;
    } else if (marker === 0xff) position += 1;
    else if (marker === 0xd9) return walk.cut(position + 2, walk.size);
    else if (isBareMarker(marker) || head.length < 4) position += 2;
    else {
      const after = position + 2 + Math.max(2, head.readUInt16BE(2));
      if (isJpegNote(marker, head)) walk.cut(position, after);
      position = marker === 0xda ? ((await walk.seek(after, findMarker, 1)) ?? walk.size) : after;
    }
  }
}

function isJpegNote(marker: number, head: Buffer): boolean {
  if (marker === 0xfe) return true;
  if ((marker & 0xf0) !== 0xe0) return false;
  const name = jpegApplications[marker];
  return name === undefined || head.toString('latin1', 4, 4 + name.length) !== name;
}

/** Finds the next marker that is not part of the compressed data. */
function findMarker(seen: Buffer): number | null {
  for (let at = seen.indexOf(0xff); at !== -1 && at + 1 < seen.length; at = seen.indexOf(0xff, at + 1)) {
    const next = seen[at + 1] ?? 0;
    const isData = next === 0 || (next >= 0xd0 && next <= 0xd7);
    if (!isData) return at;
  }
  return null;
}

function orNull(index: number): number | null {
  return index === -1 ? null : index;
}

const pngChunks = new Set(
  'IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs sPLT acTL fcTL fdAT'.split(' '),
);
const pngHeaderEnd = 33;

/** See the PNG specification (third edition), section 5. */
export async function findPngNotes(walk: PictureWalk, orientation: number): Promise<void> {
  if (orientation !== 1) walk.insert(pngHeaderEnd, pngOrientation(orientation));
  for (let position = 8; position < walk.size;) {
    const head = await walk.look(position, 8);
    const type = head.toString('latin1', 4);
    // The chunk type is missing or invalid, so nothing after it can be read.
    if (!/^[A-Za-z]{4}$/.test(type)) return walk.cut(position, walk.size);
    const after = position + 12 + head.readUInt32BE(0);
    if (!pngChunks.has(type)) walk.cut(position, after);
    if (type === 'IEND') return walk.cut(after, walk.size);
    position = after;
  }
}

/**
 * The application extensions with the loop count and the colour profile. A viewer does not need the data of other
 * applications.
 */
const gifApplications = new Set(['NETSCAPE2.0', 'ANIMEXTS1.0', 'ICCRGBG1012']);

/** GIF89a. Walks through a GIF89a file. The format has no orientation. */
export async function findGifNotes(walk: PictureWalk): Promise<void> {
  const packed = (await walk.look(10, 1))[0] ?? 0;
  for (let position = 13 + colourTableBytes(packed); position < walk.size;) {
    const head = await walk.look(position, 14);
    if (head[0] === 0x3b) return walk.cut(position + 1, walk.size);
    const isImage = head[0] === 0x2c;
    if (!isImage && head[0] !== 0x21) return endGif(walk, position);
    const data = isImage ? position + 11 + colourTableBytes(head[9] ?? 0) : position + 2;
    const after = (await walk.endOfSubBlocks(data)) ?? walk.size;
    if (!isImage && isGifNote(head)) walk.cut(position, after);
    position = after;
  }
}

function isGifNote(head: Buffer): boolean {
  if (head[1] === 0xf9) return false;
  return head[1] !== 0xff || !gifApplications.has(head.toString('latin1', 3, 14));
}

/** Ends a GIF where the bytes are not a valid block, because no decoder reads past them. */
function endGif(walk: PictureWalk, position: number): void {
  walk.overwrite(position, Buffer.from([0x3b]));
  walk.cut(position + 1, walk.size);
}

/** Returns the size of a colour table in bytes, from the packed byte that describes the table. */
function colourTableBytes(packed: number): number {
  return (packed & 0x80) === 0 ? 0 : 3 * 2 ** ((packed & 7) + 1);
}

const webpChunks = new Set(['VP8 ', 'VP8L', 'VP8X', 'ALPH', 'ANIM', 'ANMF', 'ICCP']);
const webpFrameChunks = new Set(['VP8 ', 'VP8L', 'ALPH']);
const frameHeadBytes = 16;
/** Flags in the first byte of VP8X that say whether the file has EXIF and XMP data. */
const [exifFlag, xmpFlag] = [0x08, 0x04];

/** See RFC 9649, section 2. */
export async function findWebpNotes(walk: PictureWalk, orientation: number): Promise<void> {
  const riff = await walk.look(4, 4);
  if (riff.length < 4) return;
  const riffBytes = riff.readUInt32LE(0);
  const end = Math.min(walk.size, 8 + riffBytes);
  let cutBytes = 0;
  let hasFeatures = false;
  for (let position = 12; position < end;) {
    const head = await walk.look(position, 9);
    const type = head.toString('latin1', 0, 4);
    const size = head.length < 8 ? 0 : head.readUInt32LE(4);
    const after = head.length < 8 ? end : position + 8 + size + (size % 2);
    if (type === 'VP8X' && position === 12) {
      hasFeatures = true;
      const flags = ((head[8] ?? 0) & ~(exifFlag | xmpFlag)) | (orientation === 1 ? 0 : exifFlag);
      if (flags !== head[8]) walk.overwrite(position + 8, Buffer.from([flags]));
    } else if (type === 'ANMF')
      await findFrameNotes(walk, { start: position + 8 + frameHeadBytes, end: Math.min(after, end) });
    else if (!webpChunks.has(type)) {
      walk.cut(position, Math.min(after, end));
      cutBytes += Math.min(after, end) - position;
    }
    position = after;
  }
  walk.cut(end, walk.size);
  const note = orientation === 1 || !hasFeatures ? Buffer.alloc(0) : webpOrientation(orientation);
  if (note.length > 0) walk.insert(walk.size, note);
  if (cutBytes === note.length) return;
  const size = Buffer.alloc(4);
  // A hostile file may declare the largest size that the field can hold, and the new size must not exceed that.
  size.writeUInt32LE(Math.min(0xffff_ffff, riffBytes - cutBytes + note.length));
  walk.overwrite(4, size);
}

/** Zeroes undisplayed data within a frame. The data is not removed, so that the frame keeps its declared length. */
async function findFrameNotes(walk: PictureWalk, { start, end }: { start: number; end: number }): Promise<void> {
  for (let position = start; position + 8 <= end;) {
    const head = await walk.look(position, 8);
    if (head.length < 8) return;
    const size = head.readUInt32LE(4);
    const after = position + 8 + size + (size % 2);
    if (!webpFrameChunks.has(head.toString('latin1', 0, 4))) walk.blank(position + 8, Math.min(after, end));
    position = after;
  }
}
