import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findNames } from '../../src/message/mention.ts';

const maxLength = 10_000;
const plain = 'The quick brown fox, @ada, jumps over the lazy dog. '.repeat(200).slice(0, maxLength);
/** The maximum cost of a hostile text, as a multiple of the cost of a plain text of the same length. */
const maxFactor = 25;

/** A short text that parsers can read in several ways. A hostile text repeats it, up to the maximum length. */
const unit = fc.string({
  unit: fc.constantFrom(...'e_-./@:<>&%+#?=~1!"\'\\ \n(', 'ä', '𝒳', 'http://', '<!--', '&#1;', 'www.'),
  minLength: 1,
  maxLength: 6,
});
const hostile = fc
  .tuple(fc.string({ maxLength: 3 }), unit, fc.string({ maxLength: 3 }))
  .map(([start, repeated, end]) => start + repeated.repeat(maxLength).slice(0, maxLength - 10) + end);

/** Returns the shortest duration of several runs, in ms. */
async function timeOf(work: () => unknown, runs: number): Promise<number> {
  let least = Infinity;
  for (let run = 0; run < runs; run += 1) {
    const startedAt = performance.now();
    await work();
    least = Math.min(least, performance.now() - startedAt);
  }
  return least;
}

/**
 * Returns whether the work takes less than `limitMs` in at least one of twenty runs. The other runs may be slower
 * because other processes need the processor.
 */
async function isDoneWithin(limitMs: number, work: () => unknown): Promise<boolean> {
  for (let run = 0; run < 20; run += 1) if ((await timeOf(work, 1)) < limitMs) return true;
  return false;
}

test('no text costs much more to search for names than plain text of the same length', async () => {
  const plainMs = Math.max(0.2, await timeOf(() => findNames(plain), 10));
  const texts = [
    '@a' + '.'.repeat(9_990) + 'x',
    '@a.'.repeat(3_300),
    '@a' + '.a'.repeat(4_990),
    '@' + 'a'.repeat(9_990) + 'é',
  ];
  for (const text of texts) expect(await isDoneWithin(maxFactor * plainMs, () => findNames(text))).toBe(true);
  const named = fc.tuple(unit, unit).map(([one, other]) => `@${one}${other}`.repeat(maxLength).slice(0, maxLength));
  await fc.assert(
    fc.asyncProperty(fc.oneof(hostile, named), async (text) =>
      isDoneWithin(maxFactor * plainMs, () => findNames(text)),
    ),
    { numRuns: 200, endOnFailure: true },
  );
});
