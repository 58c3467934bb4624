import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BadBoxes, BoxFile, findMetadata } from '../../src/file/iso-bmff.ts';
import { ByteWindow } from '../../src/file/store/byte-window.ts';
import { box, heicWith, u16 } from '../support/boxes.ts';
import { rounds } from '../support/rounds.ts';

/**
 * The maximum cost of inspecting one file, regardless of what its boxes claim. On a busy machine, the test measures
 * again.
 */
const maxMs = 250;
const maxHeldBytes = 32 * 1024 * 1024;

/** Inspects a file. Returns the cost, and whether the file was refused. */
async function look(bytes: Buffer): Promise<{ ms: number; heldBytes: number; refused: boolean; spans: number }> {
  await using window = await ByteWindow.open(bytes);
  const before = process.memoryUsage().heapUsed;
  const start = performance.now();
  const found = await findMetadata(new BoxFile(window)).catch((error: unknown) => error);
  const ms = performance.now() - start;
  const heldBytes = process.memoryUsage().heapUsed - before;
  if (found instanceof BadBoxes) return { ms, heldBytes, refused: true, spans: 0 };
  if (found instanceof Error) throw found;
  const { blank } = found as Awaited<ReturnType<typeof findMetadata>>;
  for (const { start: from, end } of blank) {
    if (from < 0 || end < from || end > bytes.length) throw new Error('a span is outside the file');
  }
  return { ms, heldBytes, refused: false, spans: blank.length };
}

async function isCheap(bytes: Buffer): Promise<boolean> {
  for (let tries = 10; tries > 0; tries -= 1) {
    const { ms, heldBytes } = await look(bytes);
    if (ms < maxMs && heldBytes < maxHeldBytes) return true;
  }
  return false;
}

test.each([50, 3_000, 60_000])(
  'a file whose %i items each claim 65,535 empty extents is refused immediately',
  async (items) => {
    const claims = Buffer.concat([u16(0, items), ...Array.from({ length: items }, () => u16(1, 0, 65_535))]);
    expect(await look(heicWith(claims))).toMatchObject({ refused: true });
    expect(await isCheap(heicWith(claims))).toBe(true);
  },
);

test.each([
  ['items that the table has no room for', heicWith(u16(0x4400, 65_535))],
  ['extents that the table has no room for', heicWith(Buffer.concat([u16(0x4400, 1, 1, 0, 65_535), Buffer.alloc(16)]))],
  ['an extent before the file', heicWith(Buffer.concat([u16(0x8800, 1, 1, 0, 1), Buffer.alloc(16, 0xff)]))],
  [
    'an extent after the file',
    heicWith(Buffer.concat([u16(0x4400, 1, 1, 0, 1), Buffer.from('00ffffff00000001', 'hex')])),
  ],
])('%s are refused', async (_, bytes) => {
  expect(await look(bytes)).toMatchObject({ refused: true });
});

test('boxes nested a thousand deep are refused before they are read', async () => {
  let film = box('trak');
  for (let depth = 0; depth < 1_000; depth += 1) film = box('trak', film);
  const { ms, refused } = await look(box('moov', film));
  expect({ refused, isFast: ms < maxMs }).toEqual({ refused: true, isFast: true });
});

test('a file with more boxes than any real file has is refused', async () => {
  const boxes = Buffer.concat(Array.from({ length: 30_000 }, () => box('free')));
  expect(await look(boxes)).toMatchObject({ refused: true });
  expect(await isCheap(boxes)).toBe(true);
});

const widths = fc.constantFrom(0, 4, 8, 3, 15);
const count16 = fc.oneof(fc.constantFrom(0, 1, 2, 50, 0xffff), fc.nat(0xffff));

/**
 * An `iloc` box (a table of item locations) whose fields claim arbitrary sizes and counts, followed by random bytes.
 */
const places = fc
  .record({
    version: fc.constantFrom(0, 1, 2, 3),
    sizes: fc.tuple(widths, widths, widths, widths),
    items: count16,
    entries: fc.array(fc.tuple(fc.constantFrom(1, 2), fc.constantFrom(0, 1, 2), count16), {
      maxLength: 2_000,
      size: 'max',
    }),
    rest: fc.uint8Array({ maxLength: 64 }),
  })
  .map(({ version, sizes: [offset, length, base, index], items, entries, rest }) =>
    box(
      'iloc',
      Buffer.from([version, 0, 0, 0, offset * 16 + length, base * 16 + index]),
      version < 2 ? u16(items) : u16(0, items),
      ...entries.map(([id, method, extents]) =>
        u16(...(version < 2 ? [id] : [0, id]), ...(version > 0 ? [method] : []), 0, extents),
      ),
      rest,
    ),
  );

const item = fc
  .record({
    version: fc.constantFrom(0, 1, 2, 3),
    id: fc.constantFrom(1, 2),
    type: fc.constantFrom('Exif', 'mime', 'uri ', 'hvc1', 'grid'),
  })
  .map(({ version, id, type }) =>
    box('infe', Buffer.from([version, 0, 0, 0]), u16(...(version >= 3 ? [0, id] : [id]), 0), `${type}\0`),
  );

const infos = fc
  .record({ version: fc.constantFrom(0, 1), claimed: count16, items: fc.array(item, { maxLength: 20 }) })
  .map(({ version, claimed, items }) =>
    box('iinf', Buffer.from([version, 0, 0, 0]), version === 0 ? u16(claimed) : u16(0, claimed), ...items),
  );

const references = fc.uint8Array({ maxLength: 100 }).map((bytes) => box('iref', bytes));

const { boxes } = fc.letrec<{ boxes: Buffer; one: Buffer }>((tie) => ({
  boxes: fc.array(tie('one'), { maxLength: 12, depthIdentifier: 'box' }).map((all) => Buffer.concat(all)),
  one: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.uint8Array({ maxLength: 40 }).map((bytes) => box('mdat', bytes)),
    fc.constantFrom(box('free'), box('uuid', 'x'.repeat(20)), box('idat', 'x'.repeat(40)), Buffer.from([0, 0, 0, 1])),
    infos,
    places,
    references,
    fc
      .tuple(fc.constantFrom('moov', 'trak', 'meta', 'udta', 'ilst'), tie('boxes'))
      .map(([type, inside]) => box(type, ...(type === 'meta' ? [Buffer.alloc(4)] : []), inside)),
  ),
}));

/** A file of boxes, in which some bytes have been replaced. */
const file = fc.tuple(boxes, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 })).map(([bytes, changes]) => {
  const changed = Buffer.from(Buffer.concat([box('ftyp', 'heic\0\0\0\0'), bytes]));
  for (const [at, value] of changes) changed[at % changed.length] = value;
  return changed;
});

test('whatever boxes a file claims to have, inspecting it takes little time and memory', async () => {
  await fc.assert(
    fc.asyncProperty(file, async (bytes) => {
      expect(await isCheap(bytes)).toBe(true);
    }),
    { numRuns: rounds(250, 1_000) },
  );
}, 60_000);
