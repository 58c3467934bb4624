import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cutSegments } from '../../src/log/segment.ts';

/** Realistic ids: increasing, in steps of different sizes. */
const manyIds = fc
  .array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3_000 })
  .map((steps) => steps.reduce<bigint[]>((ids, step) => [...ids, (ids.at(-1) ?? 10_000n) + BigInt(step)], []));

const cut = (ids: readonly bigint[], limits: { limit: number; most: number }) =>
  cutSegments(ids.join(','), limits).segments.map((segment) => segment.ids);

const noLimits = { limit: 100_000, most: 100_000 };

test('segments together have the ids of a list, each once and in order', () => {
  fc.assert(
    fc.property(manyIds, fc.integer({ min: 1, max: 4_000 }), fc.integer({ min: 1, max: 300 }), (ids, limit, most) => {
      const { segments, isFull } = cutSegments(ids.join(','), { limit, most });
      const all = segments.flatMap((segment) => segment.ids);
      expect(isFull).toBe(ids.length >= limit);
      expect(all).toEqual(ids.slice(0, all.length));
      // A full list may leave the beginning of its last segment to the next list, but must not leave all of its events.
      expect(isFull ? all.length > 0 : all.length === ids.length).toBe(true);
      for (const segment of segments) {
        expect(segment.ids).toHaveLength(segment.length);
        expect(segment.length).toBeLessThanOrEqual(most);
        expect(segment.lastId).toBe(segment.ids.at(-1));
      }
    }),
    { numRuns: 60 },
  );
  expect(cutSegments('', { limit: 10, most: 10 })).toEqual({ segments: [], isFull: false });
});

test('wherever two readers missed the same events, they get the same segments', () => {
  fc.assert(
    fc.property(manyIds, fc.integer({ min: 0, max: 2_000 }), (ids, start) => {
      const whole = cut(ids, noLimits);
      const later = cut(ids.slice(start), noLimits);
      // The first segment of the reader who missed less may be only the end of one of the other reader's segments.
      const shared = later.slice(1).map(String);
      expect(whole.map(String).slice(whole.length - shared.length)).toEqual(shared);
    }),
    { numRuns: 60 },
  );
});

test('a list that is read in parts gives the segments of the whole list', () => {
  const ids = Array.from({ length: 5_000 }, (_, index) => BigInt(1_000 + 2 * index));
  const parts: (readonly bigint[])[] = [];
  for (let from = 0; from < ids.length; from = parts.flat().length) {
    parts.push(...cut(ids.slice(from), { limit: 512, most: 256 }));
  }
  expect(parts).toEqual(cut(ids, { limit: 100_000, most: 256 }));
  const lengths = parts.map(({ length }) => length);
  expect(ids.length / lengths.length).toBeGreaterThan(30);
  expect(ids.length / lengths.length).toBeLessThan(130);
});
