import { encode } from 'blurhash';
import sharp, { type Metadata, type SharpOptions } from 'sharp';
import { InvalidInput, RateLimited } from '../errors.ts';
import type { FileStore, StagedBytes } from './store/store.ts';
import { holdsNotes } from './picture-metadata.ts';

/** What is taken for a picture and looked into. Others are files like any other; for HEIC see trace.ts. */
const pictureTypes = new Set(['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/avif', 'image/tiff']);

/** Of all frames together: 50 million of them take up to 200 MB while they are worked on. */
const maxPixels = 50_000_000;
const maxSeconds = 20;
const maxWaiting = 100;

/** The longer side of each thumbnail, in pixels; a smaller picture's are as large as itself. */
export const thumbnailSides = { SMALL: 160, LARGE: 640 } as const;
export type ThumbnailSize = keyof typeof thumbnailSides;

/** A picture with nothing left in it of where and with what it was taken. All that is staged is the caller's. */
export type Picture = {
  staged: StagedBytes;
  width: number;
  height: number;
  blurhash: string;
  thumbnails: { size: ThumbnailSize; staged: StagedBytes }[];
};

// One picture is worked on at a time, by one thread: the others of the pool have files and passwords to see to.
sharp.concurrency(1);
sharp.cache(false);
let last: Promise<unknown> = Promise.resolve();
let waitingCount = 0;

export function isPictureType(contentType: string): boolean {
  return pictureTypes.has(contentType);
}

/**
 * Makes a picture of what was staged. One that carries notes (EXIF, GPS, XMP, IPTC, comments) is written anew without
 * them, turned the right way up; one without is left as it is. Throws InvalidInput for one that is broken or has too many
 * pixels, and RateLimited when too many wait.
 */
export async function developPicture(store: FileStore, staged: StagedBytes): Promise<Picture> {
  if (waitingCount >= maxWaiting) throw new RateLimited('Too many pictures wait to be looked at: try again.', 5);
  waitingCount += 1;
  const developing = last.then(() => develop(store, staged));
  last = developing.catch(() => undefined).finally(() => (waitingCount -= 1));
  return developing;
}

async function develop(store: FileStore, original: StagedBytes): Promise<Picture> {
  const made: StagedBytes[] = [];
  try {
    const metadata = await open(original.content).metadata();
    const isTalkative = hasNotes(metadata) || (await holdsNotes(original.content, metadata.format));
    const staged = isTalkative ? await rewrite(store, original, metadata) : original;
    if (staged !== original) made.push(staged);
    const { width, height } = staged === original ? sizeOf(metadata) : sizeOf(await open(staged.content).metadata());
    const blurhash = await hashOf(staged.content);
    const thumbnails: Picture['thumbnails'] = [];
    for (const size of ['SMALL', 'LARGE'] as const) {
      const thumbnail = await store.stage(singly(await shrink(staged.content, thumbnailSides[size])));
      made.push(thumbnail);
      thumbnails.push({ size, staged: thumbnail });
    }
    return { staged, width, height, blurhash, thumbnails };
  } catch (error) {
    await Promise.all(made.map((each) => each.discard()));
    throw explain(error);
  }
}

function open(content: StagedBytes['content'], more: SharpOptions = {}) {
  return sharp(content, { limitInputPixels: maxPixels, failOn: 'error', ...more }).timeout({ seconds: maxSeconds });
}

function hasNotes({ format, exif, xmp, iptc, comments, orientation }: Metadata): boolean {
  // In a TIFF they may stand among its own tags, where sharp doesn't tell of them.
  if (format === 'tiff' || (orientation ?? 1) !== 1 || (comments?.length ?? 0) > 0) return true;
  return [exif, xmp, iptc].some((each) => each !== undefined);
}

/** In its own format. Of what is not seen only the colour profile stays. */
async function rewrite(store: FileStore, staged: StagedBytes, { format, pages }: Metadata): Promise<StagedBytes> {
  const picture = open(staged.content, { animated: (pages ?? 1) > 1 })
    .autoOrient()
    .keepIccProfile();
  if (format === 'jpeg') return store.stage(picture.jpeg({ quality: 92 }));
  if (format === 'webp') return store.stage(picture.webp({ quality: 92 }));
  if (format === 'heif') return store.stage(picture.avif({ quality: 70, effort: 2 }));
  if (format === 'gif') return store.stage(picture.gif());
  if (format === 'tiff') return store.stage(picture.tiff());
  return store.stage(picture.png());
}

function sizeOf({ width, height, pageHeight }: Metadata): { width: number; height: number } {
  return { width, height: pageHeight ?? height };
}

async function hashOf(content: StagedBytes['content']): Promise<string> {
  const side = 32;
  const pixels = await open(content)
    .resize(side, side, { fit: 'fill' })
    .toColourspace('srgb')
    .ensureAlpha()
    .raw()
    .toBuffer();
  return encode(new Uint8ClampedArray(pixels), side, side, 4, 3);
}

async function shrink(content: StagedBytes['content'], side: number): Promise<Buffer> {
  return open(content)
    .autoOrient()
    .resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true })
    .webp({ quality: 80 })
    .toBuffer();
}

async function* singly(bytes: Buffer) {
  yield bytes;
}

/** What sharp says of a bad picture comes as plain errors; those of the file system have a code. */
function explain(error: unknown): unknown {
  if (!(error instanceof Error) || 'code' in error || error.constructor !== Error) return error;
  const isTooLarge = /pixel limit|timeout/i.test(error.message);
  return new InvalidInput([
    isTooLarge
      ? { path: ['file'], code: 'TOO_LONG', message: `must have at most ${maxPixels} pixels` }
      : { path: ['file'], code: 'MALFORMED', message: 'is a broken picture' },
  ]);
}
