import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import { Readable } from 'node:stream';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { DocumentCache } from '../src/api/document.ts';
import { parseJson } from '../src/core/json.ts';
import { schema } from '../src/edges.ts';
import { tellContentType } from '../src/file/content-type.ts';
import { cleanPicture, mayTellPlace } from '../src/file/picture-cleaning.ts';
import { LocalStore } from '../src/file/store/local.ts';
import { readMediaType } from '../src/http/media-type.ts';
import { readParts } from '../src/http/multipart.ts';
import { findNames } from '../src/message/mention.ts';
import { box, heicWith, u16 } from '../test/support/boxes.ts';

// `npm run bench:parser` measures the worst known input for each parser that reads bytes from strangers.
// docs/security.md lists the results.

/**
 * A parser with hostile inputs: files of `uploadBytes`, or other inputs of the maximum length that the server accepts.
 */
type Case = { parser: string; inputs: Record<string, Buffer>; parse: (bytes: Buffer) => unknown };

const folder = await mkdtemp(join(tmpdir(), 'parley-parser-'));
const store = new LocalStore(folder);
await store.prepare();

/** Yields the bytes as a socket does: each piece in a separate turn of the event loop. */
async function* inPieces(bytes: Buffer) {
  for (let at = 0; at < bytes.length; at += 65_536) {
    await setImmediate();
    yield Buffer.from(bytes.subarray(at, at + 65_536));
  }
}

/**
 * Does everything that the server's own process does with an upload before it passes the upload to the process that
 * decodes pictures.
 */
const inspect = (contentType: string) => async (bytes: Buffer) => {
  const staged = await store.stage(inPieces(bytes));
  await tellContentType(staged);
  const clean = await cleanPicture(store, staged, { contentType, orientation: 6 }).catch(() => null);
  if (clean === null) await mayTellPlace(staged, contentType).catch(() => true);
  await Promise.all([staged.discard(), clean?.discard()]);
};

const megabyte = 1_000_000;
/** The size of the files: the first argument, or 1 MB by default. */
const uploadBytes = Number(process.argv[2] ?? megabyte);
const fill = (head: Buffer | string, part: Buffer | string, size = uploadBytes) => {
  const [start, piece] = [Buffer.from(head), Buffer.from(part)];
  return Buffer.concat([start, Buffer.alloc(Math.max(0, size - start.length), piece)]);
};
const hex = (text: string) => Buffer.from(text, 'hex');
const claims = (items: number) =>
  Buffer.concat([u16(0, items), ...Array.from({ length: items }, () => u16(1, 0, 65_535))]);
const nested = (depth: number): Buffer => (depth === 0 ? box('trak') : box('trak', nested(depth - 1)));
const gif = Buffer.concat([Buffer.from('GIF89a'), Buffer.alloc(7)]);
const webp = Buffer.concat([Buffer.from('RIFF'), hex('ffffffff'), Buffer.from('WEBP')]);
const tiff = (count: number) => Buffer.concat([hex('49492a0008000000'), u16(count), hex('00'.repeat(12 * count + 4))]);
const form = (headers: Buffer) =>
  Buffer.concat([Buffer.from('--x\r\n'), headers, Buffer.from('\r\n\r\nbody\r\n--x--')]);
const fields = (count: number, field: (index: number) => string) =>
  Buffer.from(`{ ${Array.from({ length: count }, (_, index) => field(index)).join(' ')} }`);

async function readForm(bytes: Buffer): Promise<void> {
  const request = Readable.from(inPieces(bytes)) as unknown as IncomingMessage;
  for await (const { body } of readParts(request, 'x')) for await (const _ of body);
}

const cases: Case[] = [
  {
    parser: 'HEIC, AVIF, MP4',
    parse: inspect('image/heic'),
    inputs: {
      '60,000 items of 65,535 extents': heicWith(claims(60_000)),
      'empty boxes': fill(box('ftyp', 'heic\0\0\0\0heicmif1'), box('free')),
      'boxes 3,000 deep': box('moov', nested(3_000)),
    },
  },
  {
    parser: 'PNG',
    parse: inspect('image/png'),
    inputs: { 'empty chunks': fill(hex('89504e470d0a1a0a'), hex('0000000074455874')) },
  },
  {
    parser: 'JPEG',
    parse: inspect('image/jpeg'),
    inputs: {
      'restart markers': fill(hex('ffd8'), hex('ffd0')),
      comments: fill(hex('ffd8'), hex('fffe0002')),
      'fill bytes': fill(hex('ffd8'), hex('ff')),
    },
  },
  {
    parser: 'GIF',
    parse: inspect('image/gif'),
    inputs: {
      comments: fill(gif, hex('21fe00')),
      'sub-blocks of a byte': fill(Buffer.concat([gif, hex('21fe')]), hex('01ff')),
    },
  },
  {
    parser: 'WebP',
    parse: inspect('image/webp'),
    inputs: { 'empty chunks': fill(webp, 'JUNK\0\0\0\0') },
  },
  { parser: 'TIFF', parse: inspect('image/tiff'), inputs: { 'empty tags': tiff(60_000) } },
  {
    parser: 'multipart forms',
    parse: (bytes) => readForm(bytes).catch(() => undefined),
    inputs: {
      'headers of a part': form(fill('content-disposition: form-data; name="a"', ';a="\\"', 32_000)),
      '100 parts': fill('', '--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n\r\n', 100 * 51),
      'a body of line breaks': fill('--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n', '\r\n--'),
    },
  },
  {
    parser: 'headers',
    parse: (bytes) => readMediaType(bytes.toString('latin1')),
    inputs: { parameters: fill('multipart/form-data', ';a="\\"', 16_384) },
  },
  {
    parser: 'JSON bodies',
    parse: (bytes) => parseJson(bytes.toString()),
    inputs: {
      'nested lists': fill('', '[', 256 * 1_024),
      'empty objects': Buffer.from(`[${'{},'.repeat(87_000)}{}]`),
    },
  },
  {
    parser: 'GraphQL documents',
    parse: (bytes) => new DocumentCache(schema).prepare(bytes.toString(), null, { isKnown: false }),
    inputs: {
      'one name 1,900 times': fields(1_900, () => '__typename'),
      'unknown names': fields(1_900, (index) => `q${index}`),
      aliases: fields(650, (index) => `a${index}: __typename`),
      'one alias for many fields': fields(650, () => 'a: viewer'),
      'nested lists': Buffer.from(`{ viewer(a: ${'['.repeat(900)}1${']'.repeat(900)}) { __typename } }`),
    },
  },
  {
    parser: 'mentions in a message',
    parse: (bytes) => findNames(bytes.toString()),
    inputs: {
      'names of one letter': fill('', ' @a', 10_000),
      'a name of dots': fill('@a', '.', 10_000),
    },
  },
];

type Cost = { input: string; bytes: number; ms: number; blockedMs: number; megabytes: number };

/**
 * Figures from three runs: the shortest total time, the shortest of the three maximum event-loop blocks, and the
 * highest memory use, including garbage.
 */
async function measure({ parse }: Case, input: string, bytes: Buffer): Promise<Cost> {
  const runs: { ms: number; blockedMs: number; taken: number }[] = [];
  for (let run = 0; run < 4; run += 1) {
    globalThis.gc?.();
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    await sleep(5);
    const before = used();
    const start = performance.now();
    await parse(bytes);
    const ms = performance.now() - start;
    const taken = used() - before;
    await sleep(5);
    delay.disable();
    runs.push({ ms, blockedMs: Math.min(ms, delay.max / 1e6), taken });
  }
  // The first run also compiles the code.
  const warm = runs.slice(1);
  return {
    input,
    bytes: bytes.length,
    ms: Math.min(...warm.map(({ ms }) => ms)),
    blockedMs: Math.min(...warm.map(({ blockedMs }) => blockedMs)),
    megabytes: Math.max(...warm.map(({ taken }) => taken)) / megabyte,
  };
}

function used(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

process.stdout.write(
  '| parser | worst known input | KB | ms | longest block in ms | MB |\n| - | - | -: | -: | -: | -: |\n',
);
for (const each of cases) {
  const costs: Cost[] = [];
  for (const [input, bytes] of Object.entries(each.inputs)) costs.push(await measure(each, input, bytes));
  const worst = costs.toSorted((one, other) => other.ms - one.ms)[0];
  const most = Math.max(...costs.map(({ megabytes }) => megabytes));
  if (worst === undefined) continue;
  const { input, bytes, ms, blockedMs } = worst;
  const figures = [Math.ceil(bytes / 1_000), ms.toFixed(1), blockedMs.toFixed(1), most.toFixed(1)];
  process.stdout.write(`| ${each.parser} | ${input} | ${figures.join(' | ')} |\n`);
}
await rm(folder, { recursive: true, force: true });
