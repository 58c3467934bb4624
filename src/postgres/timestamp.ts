import pg from 'pg';

const zero = '0'.charCodeAt(0);
const space = ' '.charCodeAt(0);
const plus = '+'.charCodeAt(0);
const minus = '-'.charCodeAt(0);
/** The lengths of `2026-11-27 18:30:00`, of its year and date parts, and of the zone `+00`. */
const lengths = { year: 4, date: 10, seconds: 19, zone: 3 };

const parseAny = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ, 'text') as (text: string) => Date;

/** Reads a `timestamptz` in PostgreSQL's ISO format. */
export function parseTimestamp(text: string): Date {
  return readTimestamp(Buffer.from(text), 0, text.length);
}

/**
 * Reads a `timestamptz` in PostgreSQL's ISO format from these bytes. The driver's parser takes longer, because it also
 * handles values that hardly any row has: years of five digits, BC, and infinity. This function passes these values to
 * the driver's parser.
 */
export function readTimestamp(bytes: Buffer, from: number, to: number): Date {
  const zoneAt = to - lengths.zone;
  const sign = bytes[zoneAt];
  const isUsual =
    zoneAt - from >= lengths.seconds &&
    (sign === plus || sign === minus) &&
    bytes[from + lengths.year] === minus &&
    bytes[from + lengths.date] === space &&
    // Date.UTC interprets years before 100 as years of the 20th century.
    bytes[from] !== zero;
  if (!isUsual) return parseAny(bytes.toString('latin1', from, to));
  const hours = twoDigits(bytes, from + 11) + (sign === plus ? -1 : 1) * twoDigits(bytes, zoneAt + 1);
  const seconds = 3_600 * hours + 60 * twoDigits(bytes, from + 14) + twoDigits(bytes, from + 17);
  return new Date(readDay(bytes, from) + 1_000 * seconds + milliseconds(bytes, from + lengths.seconds + 1, zoneAt));
}

/**
 * The day that was read last, as the number YYYYMMDD, and the time at which it begins. The day is remembered because
 * neighbouring rows are often from the same day.
 */
const lastDay = { digits: 0, startsAt: 0 };

/** Returns the time at which the day begins in UTC, in ms since 1970. */
function readDay(bytes: Buffer, from: number): number {
  const year = 100 * twoDigits(bytes, from) + twoDigits(bytes, from + 2);
  const month = twoDigits(bytes, from + 5);
  const day = twoDigits(bytes, from + 8);
  const digits = 10_000 * year + 100 * month + day;
  if (digits !== lastDay.digits) {
    lastDay.digits = digits;
    lastDay.startsAt = Date.UTC(year, month - 1, day);
  }
  return lastDay.startsAt;
}

function digit(bytes: Buffer, at: number): number {
  return (bytes[at] ?? zero) - zero;
}

function twoDigits(bytes: Buffer, at: number): number {
  return 10 * digit(bytes, at) + digit(bytes, at + 1);
}

/** Reads only the first three digits of a fraction, because a Date has no more. */
function milliseconds(bytes: Buffer, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < from + 3; at += 1) value = 10 * value + (at < to ? digit(bytes, at) : 0);
  return value;
}
