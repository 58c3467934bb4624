import { expect, test } from 'vitest';
import { encodeCursor, lists, readPage, toPage, type ConnectionArgs } from '../../src/postgres/page.ts';
import { InvalidInput } from '../../src/errors.ts';

/** Returns the names of the arguments that are refused. */
function refused(args: ConnectionArgs, list = lists.messages): string[] {
  try {
    readPage(args, list);
    return [];
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    return error.fields.flatMap(({ path }) => path);
  }
}

test('without arguments a page is the first fifty', () => {
  const page = { limit: 50, isBackward: false, after: null, before: null };
  expect(readPage({}, lists.messages)).toEqual(page);
  expect(readPage({ first: null, after: null, last: null, before: null }, lists.messages)).toEqual(page);
});

test('a page begins and ends at cursors', () => {
  const after = encodeCursor(lists.chats, [1_700_000_000_000, 7n]);
  const before = encodeCursor(lists.chats, [1_800_000_000_000, 2n ** 63n - 1n]);
  expect(readPage({ last: 3, after, before }, lists.chats)).toEqual({
    limit: 3,
    isBackward: true,
    after: [1_700_000_000_000n, 7n],
    before: [1_800_000_000_000n, 2n ** 63n - 1n],
  });
});

test('a page has 0 to 100 rows, counted from one end', () => {
  for (const size of [0, 100]) {
    expect(refused({ first: size })).toEqual([]);
    expect(refused({ last: size })).toEqual([]);
  }
  for (const size of [-1, 101]) {
    expect(refused({ first: size })).toEqual(['first']);
    expect(refused({ last: size })).toEqual(['last']);
  }
  expect(refused({ first: 1, last: 1 })).toEqual(['last']);
});

test('a cursor is valid for its own list only', () => {
  const cursor = encodeCursor(lists.messages, [7]);
  expect(refused({ after: cursor })).toEqual([]);
  expect(refused({ after: cursor }, lists.members)).toEqual(['after']);
  expect(refused({ before: cursor }, lists.members)).toEqual(['before']);
});

test('an invalid cursor is refused, whatever it looks like', () => {
  const encode = (text: string) => Buffer.from(text).toString('base64url');
  const wrong = [
    '',
    ' ',
    '7',
    'messages:7',
    ...['7', 'messages:', 'messages:-7', 'messages:7,7', 'messages:7.5'].map(encode),
  ];
  for (const after of [...wrong, encode('messages:9223372036854775808'), encode(`messages:${'9'.repeat(99)}`)]) {
    expect(refused({ after })).toEqual(['after']);
  }
});

test('a page says on which sides there are more rows', () => {
  const forward = { limit: 2, isBackward: false, after: null, before: null };
  expect(toPage([1, 2, 3], forward)).toEqual({ rows: [1, 2], hasNextPage: true, hasPreviousPage: false });
  expect(toPage([1, 2], forward)).toEqual({ rows: [1, 2], hasNextPage: false, hasPreviousPage: false });
  expect(toPage([1, 2], { ...forward, after: [0n] })).toMatchObject({ hasPreviousPage: true });
  const backward = { ...forward, isBackward: true };
  expect(toPage([9, 8, 7], backward)).toEqual({ rows: [8, 9], hasNextPage: false, hasPreviousPage: true });
  expect(toPage([9, 8], backward)).toEqual({ rows: [8, 9], hasNextPage: false, hasPreviousPage: false });
  expect(toPage([9, 8], { ...backward, before: [10n] })).toMatchObject({ hasNextPage: true });
});
