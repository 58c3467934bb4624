import { randomBytes } from 'node:crypto';
import sharp, { type Sharp, type SharpOptions } from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { notes } from '../../src/file/picture.ts';
import { signUp, type Person } from '../support/client.ts';
import { download, servePicture } from '../support/file.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

let server: TestServer;
let ada: Person;
beforeAll(async () => {
  server = await sharedServer();
  ada = await signUp(server, 'ada');
});

const secret = 'a secret camera';
const exif = { IFD0: { Model: secret }, IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '51/1 30/1 0/1' } };

/** Returns a picture of random pixels. */
const noise = (width: number, height: number, channels: 3 | 4 = 3) =>
  sharp(randomBytes(width * height * channels), { raw: { width, height, channels } });

/** Returns a picture with 16 bits per sample, all of them significant. */
function fine(): Sharp {
  const samples = new Uint16Array(64 * 64 * 3).map((_, index) => (index * 977) % 65_536);
  const raw = { width: 64, height: 64, channels: 3 as const, depth: 'ushort' as const };
  return sharp(Buffer.from(samples.buffer), { raw } as SharpOptions).toColourspace('rgb16');
}

/** Returns the pixels as a viewer sees them: turned upright, in the file's own colors. */
const samplesOf = (bytes: Buffer) => sharp(bytes, { ignoreIcc: true, failOn: 'none' }).autoOrient().raw().toBuffer();
const fineSamplesOf = (bytes: Buffer) => sharp(bytes).toColourspace('rgb16').raw({ depth: 'ushort' }).toBuffer();

test.each<['jpeg' | 'png' | 'webp' | 'avif', object]>([
  ['jpeg', { quality: 71, chromaSubsampling: '4:4:4' }],
  ['png', {}],
  ['webp', { quality: 60 }],
  ['webp', { lossless: true }],
  ['avif', { quality: 60 }],
])('a %s (%o) loses its metadata, and every sample stays the same', async (format, options) => {
  const original = await noise(120, 80).withExif(exif).withIccProfile('p3').toFormat(format, options).toBuffer();
  expect(original.includes(secret)).toBe(true);
  const { file, served } = await servePicture(server, ada, original, `a.${format}`);
  expect(file).toMatchObject({ width: 120, height: 80, note: null });
  expect(served.includes(secret)).toBe(false);
  expect((await samplesOf(served)).equals(await samplesOf(original))).toBe(true);
  const [before, after] = await Promise.all([original, served].map((bytes) => sharp(bytes).metadata()));
  expect(before?.icc?.equals(after?.icc ?? Buffer.alloc(0))).toBe(true);
  expect(after?.exif).toBeUndefined();
});

test.each<['png' | 'tiff', object]>([
  ['png', {}],
  ['tiff', { compression: 'deflate' }],
  ['tiff', { compression: 'none', bigtiff: true }],
])('a %s (%o) with 16 bits per sample keeps all of them', async (format, options) => {
  const original = await fine()
    .withExif(exif)
    .withXmp(`<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>${secret}</a></x:xmpmeta>`)
    .toFormat(format, options)
    .toBuffer();
  expect(original.includes(secret)).toBe(true);
  const { file, served } = await servePicture(server, ada, original, `a.${format}`);
  expect(file).toMatchObject({ contentType: `image/${format}`, width: 64, note: null });
  expect(served.includes(secret)).toBe(false);
  expect(await sharp(served).metadata()).toMatchObject({ depth: 'ushort' });
  expect((await fineSamplesOf(served)).equals(await fineSamplesOf(original))).toBe(true);
});

test.each<['png' | 'webp' | 'tiff', object]>([
  ['png', {}],
  ['webp', { quality: 60 }],
  ['webp', { lossless: true }],
  ['tiff', {}],
])('a %s (%o) that is stored rotated becomes upright, with the same samples', async (format, options) => {
  const original = await noise(120, 80)
    .withExif(exif)
    .withMetadata({ orientation: 6 })
    .toFormat(format, options)
    .toBuffer();
  const { file, served } = await servePicture(server, ada, original, `a.${format}`);
  expect(file).toMatchObject({ width: 80, height: 120 });
  expect(served.includes(secret)).toBe(false);
  expect((await samplesOf(served)).equals(await samplesOf(original))).toBe(true);
});

test.each([60, 85, 95])(
  'a JPEG of quality %i that is stored rotated is turned with the same quality',
  async (quality) => {
    const smooth = noise(12, 8).resize(240, 160, { kernel: 'cubic' });
    const original = await smooth.withExif(exif).withMetadata({ orientation: 6 }).jpeg({ quality }).toBuffer();
    const { file, served } = await servePicture(server, ada, original, 'a.jpg');
    expect(file).toMatchObject({ width: 160, height: 240 });
    const [before, after] = await Promise.all([samplesOf(original), samplesOf(served)]);
    const off = before.reduce((sum, sample, index) => sum + Math.abs(sample - (after[index] ?? 0)), 0) / before.length;
    expect(off).toBeLessThan(2);
    expect(served.length).toBeLessThan(original.length * 1.5 + 1_000);
  },
);

test('an animated WebP that is stored rotated keeps its frames, and its orientation tag', async () => {
  const frames = await Promise.all([0, 1, 2].map(() => noise(60, 40).png().toBuffer()));
  const original = await sharp(frames, { join: { animated: true } })
    .withExif(exif)
    .withMetadata({ orientation: 6 })
    .webp({ lossless: true })
    .toBuffer();
  const { file, served, thumbnail } = await servePicture(server, ada, original, 'a.webp');
  expect(file).toMatchObject({ width: 40, height: 60, note: null });
  expect(served.includes(secret)).toBe(false);
  expect(await sharp(served).metadata()).toMatchObject({ pages: 3, orientation: 6 });
  const all = (bytes: Buffer) => sharp(bytes, { animated: true }).raw().toBuffer();
  expect((await all(served)).equals(await all(original))).toBe(true);
  expect(await sharp(thumbnail ?? Buffer.alloc(0)).metadata()).toMatchObject({ width: 40, height: 60 });
});

test.each<[string, number]>([
  ['its last bytes', 0.98],
  ['its second half', 0.5],
])('a JPEG without %s is kept, without metadata and with a thumbnail of the rest', async (_, share) => {
  const whole = await noise(300, 200).withExif(exif).jpeg().toBuffer();
  const original = whole.subarray(0, whole.length * share);
  const { file, served, thumbnail } = await servePicture(server, ada, original, 'a.jpg');
  expect(file).toMatchObject({ contentType: 'image/jpeg', width: 300, height: 200 });
  expect(served.includes(secret)).toBe(false);
  expect((await samplesOf(served)).equals(await samplesOf(original))).toBe(true);
  expect(await sharp(thumbnail ?? Buffer.alloc(0)).metadata()).toMatchObject({ width: 160 });
});

/** Returns a TIFF with two pages of different sizes. */
async function drawPages(): Promise<Buffer> {
  const pages = await Promise.all(
    [noise(40, 30), noise(20, 50)].map((page) => page.tiff({ compression: 'none' }).toBuffer()),
  );
  return joinTiffs(pages);
}

/** Joins TIFFs of one page each: appends each page to the previous ones, and adjusts its offsets. */
function joinTiffs(pages: Buffer[]): Buffer {
  let joined = Buffer.alloc(0);
  let linkAt = 4;
  for (const [index, page] of pages.entries()) {
    const moved = Buffer.from(page);
    const base = joined.length;
    const directory = moved.readUInt32LE(4);
    const count = moved.readUInt16LE(directory);
    for (let entry = directory + 2; entry < directory + 2 + count * 12; entry += 12) {
      const [tag, type, values] = [
        moved.readUInt16LE(entry),
        moved.readUInt16LE(entry + 2),
        moved.readUInt32LE(entry + 4),
      ];
      const isFar = values * ({ 1: 1, 2: 1, 3: 2, 4: 4, 5: 8 }[type] ?? 1) > 4;
      if (isFar || tag === 273) moved.writeUInt32LE(moved.readUInt32LE(entry + 8) + base, entry + 8);
    }
    joined = Buffer.concat([joined, moved]);
    if (index > 0) joined.writeUInt32LE(base + directory, linkAt);
    linkAt = base + directory + 2 + count * 12;
  }
  return joined;
}

test('a TIFF with pages of two sizes keeps both', async () => {
  const original = await drawPages();
  const { file, served } = await servePicture(server, ada, original, 'a.tiff');
  expect(file).toMatchObject({ contentType: 'image/tiff', width: 40, height: 30, note: null });
  for (const page of [0, 1]) {
    const samples = (bytes: Buffer) => sharp(bytes, { page }).raw().toBuffer();
    expect((await samples(served)).equals(await samples(original))).toBe(true);
  }
});

test('the database has room for every note', () => {
  for (const note of Object.values(notes)) expect(note.length, note).toBeLessThanOrEqual(120);
});

test('a picture that can’t be cleaned and may contain a location becomes a plain file, and its note says why', async () => {
  const tiff = await noise(40, 30).tiff({ compression: 'none' }).toBuffer();
  const directory = tiff.readUInt32LE(4);
  const next = directory + 2 + tiff.readUInt16LE(directory) * 12;
  // The file claims that its second page begins after the end of the file.
  tiff.writeUInt32LE(tiff.length + 1_000, next);
  const { file, served } = await servePicture(server, ada, tiff, 'a.tiff');
  expect(file).toMatchObject({
    contentType: 'application/octet-stream',
    width: null,
    note: expect.stringContaining('plain file'),
  });
  expect(served.equals(tiff)).toBe(true);
  const { headers } = await download(server, file.url);
  expect(headers.get('content-disposition')).toMatch(/^attachment/);
});
