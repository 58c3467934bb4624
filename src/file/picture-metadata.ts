import { ByteWindow } from './store/byte-window.ts';
import type { StagedBytes } from './store/store.ts';

/** Says where what stands there ends, or null when it is (or may be) something that a viewer doesn't see. */
type Step = (bytes: ByteWindow, position: number) => Promise<number | 'end' | null>;

/**
 * Whether a picture's file holds more than the picture: comments, data of programs and cameras, whatever follows its end.
 * sharp tells of some of that only. True also for a file that is not well formed. Of formats that are not listed it knows
 * nothing.
 */
export async function holdsNotes(content: StagedBytes['content'], format: string | undefined): Promise<boolean> {
  const walk = format === undefined ? undefined : walks[format];
  if (walk === undefined) return false;
  await using bytes = await ByteWindow.open(content);
  let position = await walk.start(bytes);
  for (let count = 0; count < maxSteps; count += 1) {
    const next = await walk.step(bytes, position);
    if (next === null) return true;
    if (next === 'end') return false;
    if (next >= bytes.size) return next > bytes.size || !walk.endsWithFile;
    position = next;
  }
  return true;
}

const maxSteps = 100_000;
/** Compressed data is gone through in strides, between which others have their turn. */
const strideBytes = 32 * 1024;

const walks: Record<string, { start: (bytes: ByteWindow) => Promise<number>; step: Step; endsWithFile?: true }> = {
  gif: { start: startOfGif, step: stepInGif },
  jpeg: { start: async () => 2, step: stepInJpeg },
  png: { start: async () => 8, step: stepInPng },
  webp: { start: async () => 12, step: stepInWebp, endsWithFile: true },
};

async function isEnd(bytes: ByteWindow, position: number): Promise<'end' | null> {
  return (await bytes.look(position, 1)).length === 0 ? 'end' : null;
}

/** How long a colour table is, by the byte that tells of it. */
function colourTableBytes(packed: number): number {
  return (packed & 0x80) === 0 ? 0 : 3 * 2 ** ((packed & 7) + 1);
}

async function startOfGif(bytes: ByteWindow): Promise<number> {
  return 13 + colourTableBytes((await bytes.look(10, 1))[0] ?? 0);
}

/** How often it repeats, and its colour profile; other applications' data is none of a viewer's business. */
const gifApplications = new Set(['NETSCAPE2.0', 'ANIMEXTS1.0', 'ICCRGBG1012']);

async function stepInGif(bytes: ByteWindow, position: number): Promise<number | 'end' | null> {
  const head = Buffer.from(await bytes.look(position, 14));
  if (head[0] === 0x3b) return isEnd(bytes, position + 1);
  if (head[0] === 0x2c) return skipSubBlocks(bytes, position + 11 + colourTableBytes(head[9] ?? 0));
  const isGraphicControl = head[0] === 0x21 && head[1] === 0xf9;
  const isApplication = head[0] === 0x21 && head[1] === 0xff && gifApplications.has(head.toString('latin1', 3, 14));
  return isGraphicControl || isApplication ? skipSubBlocks(bytes, position + 2) : null;
}

async function skipSubBlocks(bytes: ByteWindow, position: number): Promise<number | null> {
  for (let at = position; ;) {
    const seen = await bytes.look(at, strideBytes);
    if (seen.length === 0) return null;
    let index = 0;
    for (; index < seen.length; index += 1 + (seen[index] ?? 0)) if (seen[index] === 0) return at + index + 1;
    at += index;
  }
}

/** What a decoder needs of the segments that belong to applications: JFIF, the colour profile, Adobe's colour transform. */
const jpegApplications: Record<number, string> = { 0xe0: 'JFIF\0', 0xe2: 'ICC_PROFILE\0', 0xee: 'Adobe' };

async function stepInJpeg(bytes: ByteWindow, position: number): Promise<number | 'end' | null> {
  const head = Buffer.from(await bytes.look(position, 16));
  const [prefix, marker = 0] = head;
  if (prefix !== 0xff || head.length < 2) return null;
  // Fill bytes may stand before a marker.
  if (marker === 0xff) return position + 1;
  if (marker === 0xd9) return isEnd(bytes, position + 2);
  if (head.length < 4 || marker === 0xfe) return null;
  if ((marker & 0xf0) === 0xe0) {
    const name = jpegApplications[marker];
    if (name === undefined || head.toString('latin1', 4, 4 + name.length) !== name) return null;
  }
  const after = position + 2 + head.readUInt16BE(2);
  return marker === 0xda ? skipScan(bytes, after) : after;
}

/** To the next marker that is not part of the compressed data. */
async function skipScan(bytes: ByteWindow, position: number): Promise<number | null> {
  for (let at = position; ;) {
    const seen = await bytes.look(at, strideBytes);
    if (seen.length < 2) return null;
    const found = findMarker(seen);
    if (found !== null) return at + found;
    // The last byte is looked at again, with what comes after it.
    at += seen.length - 1;
  }
}

function findMarker(seen: Buffer): number | null {
  for (let at = seen.indexOf(0xff); at !== -1 && at + 1 < seen.length; at = seen.indexOf(0xff, at + 1)) {
    const next = seen[at + 1] ?? 0;
    const isData = next === 0 || (next >= 0xd0 && next <= 0xd7);
    if (!isData) return at;
  }
  return null;
}

const pngChunks = new Set(
  ['IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs sPLT acTL fcTL fdAT'].flatMap(
    (names) => names.split(' '),
  ),
);

async function stepInPng(bytes: ByteWindow, position: number): Promise<number | 'end' | null> {
  const head = Buffer.from(await bytes.look(position, 8));
  const type = head.toString('latin1', 4);
  if (head.length < 8 || !pngChunks.has(type)) return null;
  const after = position + 12 + head.readUInt32BE(0);
  return type === 'IEND' ? isEnd(bytes, after) : after;
}

const webpChunks = new Set(['VP8 ', 'VP8L', 'VP8X', 'ALPH', 'ANIM', 'ANMF', 'ICCP']);

async function stepInWebp(bytes: ByteWindow, position: number): Promise<number | null> {
  const head = Buffer.from(await bytes.look(position, 8));
  if (head.length < 8 || !webpChunks.has(head.toString('latin1', 0, 4))) return null;
  const size = head.readUInt32LE(4);
  return position + 8 + size + (size % 2);
}
