import { expect, test } from 'vitest';
import { acceptsPage, acceptsStream, chooseJson, chooseStream, findJsonBeforeStream } from '../../src/http/accept.ts';
import { readMediaType } from '../../src/http/media-type.ts';
import { readBoundary } from '../../src/http/multipart.ts';

const readers: Record<string, (text: string) => unknown> = {
  acceptsPage,
  acceptsStream,
  chooseJson,
  chooseStream,
  findJsonBeforeStream,
  readMediaType,
  readBoundary,
};
/** Building blocks of headers, alone and in turn: whichever is repeated, no reader may backtrack over it. */
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
];

/** Processor time in ms: the least of three runs, because a garbage collection of the whole worker counts too. */
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
      // Twice the header size that the server accepts: a quadratic reader takes seconds.
      const text = (start + piece.repeat(32_768)).slice(0, 32_768);
      expect(
        timeOf(() => read(text)),
        `${start}${piece}…`,
      ).toBeLessThan(200);
    }
  }
});

test('the weights of JSON types count, and then their order', () => {
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
