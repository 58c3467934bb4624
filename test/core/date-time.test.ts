import { expect, test } from 'vitest';
import { printDateTime } from '../../src/core/date-time.ts';

/** The first and last instants that a Date can represent, in ms. */
const ends = [-8_640_000_000_000_000, 8_640_000_000_000_000];

test('every instant is formatted as Date formats it, in whatever order', () => {
  const far = Array.from({ length: 2_000 }, () => Math.floor((Math.random() - 0.5) * 2 * (ends[1] ?? 0)));
  const near = far.map((time) => Date.now() - (Math.abs(time) % 200_000));
  for (const time of [...ends, -62_135_596_800_001, -1, 0, 59_999, 60_000, ...far, ...near]) {
    const date = new Date(time);
    expect(printDateTime(date)).toBe(date.toISOString());
  }
});

test('an invalid date is refused, and does not spoil the next one', () => {
  expect(() => printDateTime(new Date(Number.NaN))).toThrow(RangeError);
  expect(printDateTime(new Date(0))).toBe('1970-01-01T00:00:00.000Z');
});
