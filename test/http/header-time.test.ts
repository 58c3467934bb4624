import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { readRange } from '../../src/file/range.ts';
import { readEmoji } from '../../src/message/emoji.ts';
import { addressOf } from '../../src/http/address.ts';
import {
  acceptsPage,
  acceptsStream,
  chooseEncoding,
  chooseJson,
  chooseStream,
  findJsonBeforeStream,
} from '../../src/http/accept.ts';
import { matchesEtag } from '../../src/http/etag.ts';
import { readMediaType } from '../../src/http/media-type.ts';
import { readBoundary, readParts } from '../../src/http/multipart.ts';

/** A request that consists only of headers. */
const requestWith = (headers: Record<string, string>) => ({ headers, socket: {} }) as unknown as IncomingMessage;

const readers: Record<string, (text: string) => unknown> = {
  acceptsPage,
  acceptsStream,
  chooseEncoding: (text) => chooseEncoding(text, ['br', 'gzip']),
  matchesEtag: (text) => matchesEtag(text, 'W/"tag"'),
  chooseJson,
  chooseStream,
  findJsonBeforeStream,
  readMediaType,
  readBoundary,
  readRange: (text) => readRange(text, 1_000),
  addressOf: (text) => addressOf(requestWith({ 'x-forwarded-for': text }), 2),
  readEmoji,
};
/**
 * Building blocks of headers, which the test repeats individually or alternates. No reader may backtrack over any of
 * them.
 */
const pieces = [
  ',',
  ';',
  '"',
  '\\',
  ' ',
  '=',
  'q=0',
  '*/*',
  '*/*,',
  'a/b;',
  ';q=0.',
  '0',
  ';"',
  '"\\',
  ', application/json',
  ';boundary=',
  'gzip',
  'bytes=',
  '0-',
  '-1,',
  '::',
  ':f',
  '1.',
  '[',
  ']:1',
  '👨‍👩‍👧',
  '❤\ufe0f',
  '; name="',
  "; filename*=UTF-8''%",
  ';a=',
  '%22',
  '\r\n',
];

/**
 * Returns the CPU time of `work` in ms: the minimum of three runs, because a garbage collection of the whole worker
 * counts too.
 */
function timeOf(work: () => unknown): number {
  const runs = [1, 2, 3].map(() => {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  });
  return Math.min(...runs);
}

test.each(Object.entries(readers))('%s takes time linear in the length of a header', (_, read) => {
  for (const piece of pieces) {
    for (const start of ['', 'multipart/form-data', 'multipart/form-data; boundary="', 'application/json;q=0.']) {
      // The text is twice as long as the headers that the server accepts. A reader with quadratic cost would take
      // seconds.
      const text = (start + piece.repeat(32_768)).slice(0, 32_768);
      expect(
        timeOf(() => read(text)),
        `${start}${piece}…`,
      ).toBeLessThan(200);
    }
  }
});

/** Reads a form in which the headers of the first part are the given text. */
async function readPart(headers: string): Promise<unknown> {
  const form = Readable.from([Buffer.from(`--x\r\n${headers}\r\n\r\nbody\r\n--x--`)]);
  const parts = readParts(form as unknown as IncomingMessage, 'x');
  return parts.next().catch((error: Error) => error.message);
}

/**
 * Returns the CPU time of `work` in ms: the minimum of up to ten tries, because the other threads of the process count
 * too.
 */
async function leastCpuMs(work: () => Promise<unknown>): Promise<number> {
  let least = Infinity;
  for (let tries = 0; tries < 10 && least >= 100; tries += 1) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1_000);
  }
  return least;
}

test('reading the headers of a form’s part takes time linear in their length', async () => {
  expect(await readPart('content-disposition: form-data; name="a"')).toMatchObject({ value: { name: 'a' } });
  for (const piece of pieces) {
    for (const start of ['', 'content-disposition: form-data; name="a"', 'content-disposition: form-data; name="']) {
      const text = (start + piece.repeat(32_000)).slice(0, 32_000);
      expect(await leastCpuMs(() => readPart(text)), `${start}${piece}…`).toBeLessThan(400);
    }
  }
});

test('JSON types are chosen by their weights, and then by their order', () => {
  expect(chooseJson('application/json;q=0.5, application/graphql-response+json')).toBe(
    'application/graphql-response+json',
  );
  expect(chooseJson('application/graphql-response+json,application/json;q=0.9')).toBe(
    'application/graphql-response+json',
  );
  expect(chooseJson('application/graphql-response+json;q=0.1, */*')).toBe('application/json');
  expect(chooseJson('application/json;q=0, */*')).toBe('application/graphql-response+json');
  expect(chooseJson('application/json;q=0')).toBeNull();
  expect(chooseJson('image/png')).toBeNull();
  expect(chooseJson(undefined)).toBe('application/json');
});
