import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { tellContentType } from '../../src/file/content-type.ts';
import { cleanPicture, mayTellPlace } from '../../src/file/picture-cleaning.ts';
import { storeSmallInline } from '../../src/file/store/inline.ts';
import { LocalStore } from '../../src/file/store/local.ts';
import type { FileStore } from '../../src/file/store/store.ts';
import { box } from '../support/boxes.ts';
import { atFileEnd } from '../support/file-end.ts';
import { rounds } from '../support/rounds.ts';

/**
 * The maximum cost of inspecting one file, regardless of what the file claims. On a busy machine, the test measures
 * again.
 */
const maxMs = 500;
const maxHeldBytes = 64 * 1024 * 1024;

let store: FileStore;
let seeds: Record<string, Buffer>;
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-hostile-'));
  atFileEnd(() => rm(folder, { recursive: true, force: true }));
  const local = new LocalStore(folder);
  await local.prepare();
  store = storeSmallInline(local, 65_536);
  const picture = () =>
    sharp({ create: { width: 9, height: 7, channels: 3, background: 'red' } }).withExif({ IFD0: { Model: 'x' } });
  const formats = ['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'] as const;
  const made = await Promise.all(
    formats.map(async (format) => [`image/${format}`, await picture().toFormat(format).toBuffer()] as const),
  );
  seeds = Object.fromEntries(made);
});

async function* singly(bytes: Buffer) {
  yield Buffer.from(bytes);
}

/** Performs every step that the server performs on an untrusted picture outside the decoding process. */
async function look(
  contentType: string,
  bytes: Buffer,
): Promise<{ ms: number; heldBytes: number; cleanBytes: number }> {
  const staged = await store.stage(singly(bytes));
  const before = process.memoryUsage().heapUsed;
  const start = performance.now();
  await tellContentType(staged);
  const clean = await cleanPicture(store, staged, { contentType, orientation: 6 });
  if (clean === null) await mayTellPlace(staged, contentType);
  const ms = performance.now() - start;
  const heldBytes = process.memoryUsage().heapUsed - before;
  const cleanBytes = clean?.size ?? 0;
  await Promise.all([staged.discard(), clean?.discard()]);
  return { ms, heldBytes, cleanBytes };
}

async function expectCheap(contentType: string, bytes: Buffer): Promise<void> {
  const seen = await look(contentType, bytes);
  const { ms, heldBytes, cleanBytes } = seen.ms < maxMs ? seen : await look(contentType, bytes);
  expect({ isFast: ms < maxMs, isSmall: heldBytes < maxHeldBytes }).toEqual({ isFast: true, isSmall: true });
  // The server may add only the bytes of the orientation tag.
  expect(cleanBytes).toBeLessThanOrEqual(bytes.length + 100);
}

const u32 = fc.oneof(fc.constantFrom(0, 1, 8, 0x7fffffff, 0xffffffff), fc.nat(2_000));
const bytes = fc.uint8Array({ maxLength: 60 }).map((each) => Buffer.from(each));
const many = <Part>(part: fc.Arbitrary<Part>) => fc.array(part, { maxLength: 300, size: 'max' });

const be = (value: number) => {
  const written = Buffer.alloc(4);
  written.writeUInt32BE(value);
  return written;
};
const le = (value: number) => Buffer.from(be(value).toReversed());

const png = many(
  fc
    .tuple(fc.constantFrom('IHDR', 'IDAT', 'tEXt', 'eXIf', 'IEND', 'acTL', 'fdAT', '\0\0\0\0'), fc.option(u32), bytes)
    .map(([type, claimed, body]) =>
      Buffer.concat([be(claimed ?? body.length), Buffer.from(type, 'latin1'), body, be(0)]),
    ),
).map((chunks) => Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), ...chunks]));

const jpeg = many(
  fc
    .tuple(
      fc.constantFrom(0xc0, 0xc4, 0xd0, 0xd8, 0xd9, 0xda, 0xdb, 0xe0, 0xe1, 0xe2, 0xed, 0xfe, 0xff, 0x00),
      fc.option(fc.nat(0xffff)),
      bytes,
    )
    .map(([marker, claimed, body]) => {
      const size = claimed ?? body.length + 2;
      return Buffer.concat([Buffer.from([0xff, marker, size >> 8, size & 255]), body]);
    }),
).map((segments) => Buffer.concat([Buffer.from('ffd8', 'hex'), ...segments]));

const webp = many(
  fc
    .tuple(fc.constantFrom('VP8 ', 'VP8L', 'VP8X', 'ANMF', 'EXIF', 'XMP ', 'JUNK'), fc.option(u32), bytes)
    .map(([type, claimed, body]) => Buffer.concat([Buffer.from(type), le(claimed ?? body.length), body])),
).chain((chunks) =>
  fc.option(u32).map((claimed) => {
    const body = Buffer.concat([Buffer.from('WEBP'), ...chunks]);
    return Buffer.concat([Buffer.from('RIFF'), le(claimed ?? body.length), body]);
  }),
);

const gif = many(
  fc
    .tuple(
      fc.constantFrom([0x21, 0xf9], [0x21, 0xff], [0x21, 0xfe], [0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0x87, 2], [0x3b]),
      bytes,
    )
    .map(([head, body]) => Buffer.concat([Buffer.from(head), body])),
).map((blocks) =>
  Buffer.concat([Buffer.from('GIF89a'), Buffer.from([1, 0, 1, 0, 0x80, 0, 0]), Buffer.alloc(6), ...blocks]),
);

const tiffTag = fc.oneof(fc.constantFrom(256, 273, 330, 34665, 34853, 700, 271, 34675), fc.nat(0xffff));
const tiff = fc
  .tuple(fc.boolean(), many(fc.tuple(tiffTag, fc.nat(20), u32, u32)), fc.option(fc.nat(0xffff)), u32, bytes)
  .map(([isBig, entries, claimed, next, body]) => {
    const head = isBig
      ? Buffer.from('4d4d002b000800000000000000000010', 'hex')
      : Buffer.from('4d4d002a00000008', 'hex');
    const wide = (value: number) => (isBig ? Buffer.concat([be(0), be(value)]) : be(value));
    const rows = entries.map(([tag, type, count, value]) =>
      Buffer.concat([Buffer.from([tag >> 8, tag & 255, 0, type]), wide(count), wide(value)]),
    );
    const count = claimed ?? rows.length;
    return Buffer.concat([head, isBig ? wide(count) : be(count).subarray(2), ...rows, wide(next), body]);
  });

const avif = many(
  fc
    .tuple(fc.constantFrom('meta', 'moov', 'trak', 'uuid', 'udta', 'mdat', 'iloc', 'iinf', 'iref', 'free'), bytes)
    .map(([type, body]) => box(type, body)),
).map((boxes) => Buffer.concat([box('ftyp', 'avif\0\0\0\0avifmif1'), ...boxes]));

test.each([
  ['image/png', png],
  ['image/jpeg', jpeg],
  ['image/webp', webp],
  ['image/gif', gif],
  ['image/tiff', tiff],
  ['image/avif', avif],
])(
  'whatever parts an %s claims to have, inspecting it takes little time and memory',
  async (contentType, file) => {
    await fc.assert(
      fc.asyncProperty(file, (content) => expectCheap(contentType, content)),
      { numRuns: rounds(100, 300) },
    );
  },
  120_000,
);

test('a picture of any format with some bytes replaced stays within the same limits', async () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 });
  for (const [contentType, seed] of Object.entries(seeds)) {
    await fc.assert(
      fc.asyncProperty(changes, async (all) => {
        const changed = Buffer.from(seed);
        for (const [at, value] of all) changed[at % changed.length] = value;
        await expectCheap(contentType, changed);
      }),
      { numRuns: rounds(70, 200) },
    );
  }
}, 120_000);

/** Functions that make a file of about `count` bytes from the smallest parts of its format. */
const dense: [string, string, (count: number) => Buffer][] = [
  [
    'image/png',
    'empty chunks',
    (count) =>
      Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), repeat(Buffer.from('0000000074455874', 'hex'), count)]),
  ],
  [
    'image/jpeg',
    'restart markers',
    (count) => Buffer.concat([Buffer.from('ffd8', 'hex'), repeat(Buffer.from('ffd0', 'hex'), count)]),
  ],
  [
    'image/jpeg',
    'comments',
    (count) => Buffer.concat([Buffer.from('ffd8', 'hex'), repeat(Buffer.from('fffe0002', 'hex'), count)]),
  ],
  [
    'image/jpeg',
    'fill bytes',
    (count) => Buffer.concat([Buffer.from('ffd8', 'hex'), repeat(Buffer.from('ff', 'hex'), count)]),
  ],
  [
    'image/gif',
    'comments',
    (count) => Buffer.concat([Buffer.from('GIF89a'), Buffer.alloc(7), repeat(Buffer.from('21fe00', 'hex'), count)]),
  ],
  [
    'image/gif',
    'sub-blocks of a byte',
    (count) =>
      Buffer.concat([
        Buffer.from('GIF89a'),
        Buffer.alloc(7),
        Buffer.from('21fe', 'hex'),
        repeat(Buffer.from('01ff', 'hex'), count),
      ]),
  ],
  [
    'image/webp',
    'empty chunks',
    (count) =>
      Buffer.concat([
        Buffer.from('RIFF'),
        le(0xffffffff),
        Buffer.from('WEBP'),
        repeat(Buffer.from('JUNK\0\0\0\0'), count),
      ]),
  ],
];

const repeat = (part: Buffer, count: number) =>
  Buffer.concat(Array.from({ length: Math.ceil(count / part.length) }, () => part));

test.each(dense)(
  '%s of %s: ten times the bytes take no more than about thirty times the time',
  async (contentType, _, make) => {
    const time = async (size: number) => {
      const runs = [
        await look(contentType, make(size)),
        await look(contentType, make(size)),
        await look(contentType, make(size)),
      ];
      return Math.min(...runs.map(({ ms }) => ms));
    };
    const [short, long] = [await time(100_000), await time(1_000_000)];
    expect({ isLinear: long < short * 30 + 50, isBounded: long < 2_000 }).toEqual({ isLinear: true, isBounded: true });
  },
  60_000,
);
