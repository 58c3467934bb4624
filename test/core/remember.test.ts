import { expect, test } from 'vitest';
import { rememberByText } from '../../src/core/remember.ts';

test('a short text is read once, and a long one every time', () => {
  const read: string[] = [];
  const lengthOf = rememberByText((text) => {
    read.push(text);
    return text === '' ? null : text.length;
  });
  const long = 'x'.repeat(300);
  expect(['', 'a', '', 'a', long, long].map(lengthOf)).toEqual([null, 1, null, 1, 300, 300]);
  expect(read).toEqual(['', 'a', long, long]);
});

test('however many texts there are, only a few are remembered', () => {
  let reads = 0;
  const read = rememberByText((text) => ({ text, number: (reads += 1) }));
  const texts = Array.from({ length: 1_000 }, (_, index) => String(index));
  expect(texts.map((text) => read(text).text)).toEqual(texts);
  expect(read('0').number).toBe(1_001);
  expect(read('999').number).toBe(1_000);
});
