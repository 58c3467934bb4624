import pg from 'pg';

const zero = '0'.charCodeAt(0);
const plus = '+'.charCodeAt(0);
const minus = '-'.charCodeAt(0);
/** The lengths of `2026-11-27 18:30:00`, of its year and date, and of the zone `+00`. */
const lengths = { year: 4, date: 10, seconds: 19, zone: 3 };

const parseAny = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ, 'text') as (text: string) => Date;

/**
 * Reads a `timestamptz` in PostgreSQL's ISO format. The driver's parser takes longer, because it also reads what hardly
 * any row has: years of five digits, BC, infinity. It still reads those.
 */
export function parseTimestamp(text: string): Date {
  const zoneAt = text.length - lengths.zone;
  const sign = text.charCodeAt(zoneAt);
  const isUsual =
    zoneAt >= lengths.seconds &&
    (sign === plus || sign === minus) &&
    text.charCodeAt(lengths.year) === minus &&
    text.charAt(lengths.date) === ' ' &&
    // Date.UTC reads the years before 100 as those of the 20th century.
    text.charCodeAt(0) !== zero;
  if (!isUsual) return parseAny(text);
  const time = Date.UTC(
    100 * twoDigits(text, 0) + twoDigits(text, 2),
    twoDigits(text, 5) - 1,
    twoDigits(text, 8),
    twoDigits(text, 11),
    twoDigits(text, 14),
    twoDigits(text, 17),
    milliseconds(text, zoneAt),
  );
  const offset = 3_600_000 * twoDigits(text, zoneAt + 1);
  return new Date(sign === plus ? time - offset : time + offset);
}

function twoDigits(text: string, at: number): number {
  return 10 * (text.charCodeAt(at) - zero) + text.charCodeAt(at + 1) - zero;
}

/** The first three digits of the fraction, which ends at `end`: a Date has no more. */
function milliseconds(text: string, end: number): number {
  let value = 0;
  for (let at = lengths.seconds + 1; at < lengths.seconds + 4; at += 1) {
    value = 10 * value + (at < end ? text.charCodeAt(at) - zero : 0);
  }
  return value;
}
