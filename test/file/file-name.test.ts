import { expect, test } from 'vitest';
import { describeDisposition, describeUnguarded } from '../../src/file/content-disposition.ts';
import { cleanFileName } from '../../src/file/file-name.ts';
import { readRange } from '../../src/file/range.ts';

/** Parts of untrusted input that make a careless function take more than linear time. */
const hostile = ['a', '.', '/', '\\', ' ', '\u202e', '\ud800', '😀', '👨‍👩‍👧', 'e_', '.a', ' .', '%', '"', '\\"', "'", 'é'];

const readers: Record<string, (text: string) => unknown> = {
  'the name of a file': (text) => cleanFileName(text),
  'a header that tells the name': (text) => describeDisposition('image/png', cleanFileName(text)),
  'the same for a bucket': (text) => describeUnguarded('image/png', cleanFileName(text)),
  'a Range header': (text) => readRange(`bytes=${text}`, 1_000),
};

const bestOf = (times: number, work: () => unknown) =>
  Math.min(
    ...Array.from({ length: times }, () => {
      const start = performance.now();
      work();
      return performance.now() - start;
    }),
  );

test.each(Object.keys(readers))('%s is read in time linear in its length', (name) => {
  const read = readers[name] ?? String;
  for (const part of hostile) {
    const text = part.repeat(16_000);
    const [short, long] = [bestOf(3, () => read(text.slice(0, 4_000))), bestOf(3, () => read(text.slice(0, 64_000)))];
    // The long text is sixteen times as long as the short text, so a quadratic function takes 256 times as long.
    expect({ part, isLinear: long < short * 64 + 5 }).toEqual({ part, isLinear: true });
  }
});
