import { open as openFile, writeFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { encode } from 'blurhash';
import sharp, { type Metadata, type SharpOptions } from 'sharp';
import { estimateJpegQuality } from './jpeg-quality.ts';
import {
  partBytes,
  thumbnailSides,
  tooMuchMemory,
  type PictureAnswer,
  type PictureFacts,
  type PictureJob,
  type Pixels,
} from './picture-protocol.ts';

/**
 * This program runs in a separate process that decodes one picture at a time, so that a picture that makes a decoder
 * crash, hang or use too much memory affects only this process. The server that started the process kills it when a
 * picture takes too long; the process exits on its own when it has used too much memory.
 */

/**
 * The maximum number of pixels, counting all decoded frames. A picture with more pixels has no thumbnail, and its
 * pixels are never decoded.
 */
const maxPixels = 300_000_000;
/**
 * The maximum number of pixels of a picture that may be rotated upright. For a larger picture, the metadata keeps the
 * orientation instead.
 */
const maxTurnedPixels = 50_000_000;
const maxMemoryBytes = 1024 * 1024 * 1024;
const memoryLookMs = 50;
const headBytes = 256 * 1024;

// The server has more important work, and when memory runs out, this process should be killed first.
setPriority(5);
writeFile('/proc/self/oom_score_adj', '1000').catch(() => undefined);
sharp.concurrency(1);
sharp.cache(false);
setInterval(() => {
  if (process.memoryUsage.rss() > maxMemoryBytes) process.exit(tooMuchMemory);
}, memoryLookMs);

let upright: Buffer | null = null;
let sent = 0;

process.on('message', (message: PictureJob | 'next') => {
  if (message === 'next') sendPart();
  else void work(message.content).then(() => undefined);
});
process.on('disconnect', () => process.exit());

function answer(message: PictureAnswer): void {
  process.send?.(message);
}

function sendPart(): void {
  const bytes = upright?.subarray(sent, sent + partBytes) ?? Buffer.alloc(0);
  sent += bytes.length;
  answer({ kind: 'part', bytes: Buffer.from(bytes) });
}

async function work(content: Buffer | string): Promise<void> {
  upright = null;
  sent = 0;
  let metadata: Metadata;
  try {
    metadata = await open(content, { limitInputPixels: false }).metadata();
  } catch {
    return answer({ kind: 'failed', reason: 'unknown' });
  }
  const facts = factsOf(metadata);
  answer({ kind: 'facts', facts });
  if (facts.width * facts.height > maxPixels) return answer({ kind: 'failed', reason: 'too many pixels' });
  try {
    const pixels = await lookAt(content);
    upright = await turn(content, metadata).catch(() => null);
    answer({ kind: 'pixels', pixels: { ...pixels, uprightBytes: upright?.length ?? null } });
  } catch {
    answer({ kind: 'failed', reason: 'undecodable' });
  }
}

/** Opens a picture so that as much as possible is decoded, even if the file is truncated. */
function open(content: Buffer | string, more: SharpOptions = {}) {
  return sharp(content, { limitInputPixels: maxPixels, failOn: 'none', ...more });
}

function factsOf({ width, height, pageHeight, orientation = 1 }: Metadata): PictureFacts {
  const [across, down] = [width, pageHeight ?? height];
  // An orientation of 5 or more means that the picture lies on its side, so width and height are swapped.
  return orientation < 5 ? { width: across, height: down, orientation } : { width: down, height: across, orientation };
}

async function lookAt(content: Buffer | string): Promise<Omit<Pixels, 'uprightBytes'>> {
  const small = await shrink(content, thumbnailSides.SMALL);
  return {
    blurhash: await hashOf(small),
    thumbnails: { SMALL: small, LARGE: await shrink(content, thumbnailSides.LARGE) },
  };
}

async function shrink(content: Buffer | string, side: number): Promise<Buffer> {
  return open(content)
    .autoOrient()
    .resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true })
    .webp({ quality: 80 })
    .toBuffer();
}

async function hashOf(content: Buffer): Promise<string> {
  const side = 32;
  const pixels = await sharp(content)
    .resize(side, side, { fit: 'fill' })
    .toColourspace('srgb')
    .ensureAlpha()
    .raw()
    .toBuffer();
  return encode(new Uint8ClampedArray(pixels), side, side, 4, 3);
}

/**
 * Rotates the picture upright. A JPEG is re-encoded at its own quality; other formats keep the same samples, and the
 * function verifies this. Returns null if the picture is already upright or can't be rotated, because it has too many
 * pixels, more than one frame, more than 8 bits per sample, or an unsupported colour space or format. Rejects if the
 * file is truncated.
 */
async function turn(content: Buffer | string, metadata: Metadata): Promise<Buffer | null> {
  const { format, orientation = 1, pages = 1, depth, space, width, height } = metadata;
  if (orientation === 1 || pages > 1 || depth !== 'uchar' || width * height > maxTurnedPixels) return null;
  if (space !== 'srgb' && space !== 'b-w') return null;
  const picture = open(content, { failOn: 'error', ignoreIcc: true }).autoOrient().keepIccProfile();
  if (format === 'jpeg') {
    const quality = estimateJpegQuality(await readHead(content));
    return picture
      .jpeg({ quality, chromaSubsampling: metadata.chromaSubsampling === '4:2:0' ? '4:2:0' : '4:4:4' })
      .toBuffer();
  }
  if (format !== 'png' && format !== 'webp') return null;
  const turned = await (format === 'png' ? picture.png() : picture.webp({ lossless: true })).toBuffer();
  const [before, after] = await Promise.all([samplesOf(content), samplesOf(turned)]);
  return before.equals(after) ? turned : null;
}

async function samplesOf(content: Buffer | string): Promise<Buffer> {
  return open(content, { ignoreIcc: true }).autoOrient().ensureAlpha().raw().toBuffer();
}

async function readHead(content: Buffer | string): Promise<Buffer> {
  if (typeof content !== 'string') return content;
  await using file = await openFile(content);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0);
  return buffer.subarray(0, bytesRead);
}
