import pg from 'pg';
import { readTimestamp } from './timestamp.ts';

/** Reads a column's value from the bytes of its text representation. */
export type ColumnReader = (bytes: Buffer, from: number, to: number) => unknown;

const zero = '0'.charCodeAt(0);
const minus = '-'.charCodeAt(0);
const yes = 't'.charCodeAt(0);
const brace = '{'.charCodeAt(0);
/** A number can represent every integer of up to this many digits exactly. */
const safeDigits = 15;
/** The maximum length of a value that a reader remembers; longer values are rarely repeated in the next row. */
const maxRepeated = 32;

const { BOOL, INT2, INT4, INT8, TEXT, TIMESTAMPTZ } = pg.types.builtins;
const JSONB: number = pg.types.builtins.JSONB;

/**
 * The driver's parser for text columns and for types that it does not know, such as enums. It returns the text
 * unchanged.
 */
const noParser: unknown = pg.types.getTypeParser(TEXT, 'text');

/**
 * Returns the reader for a column of this type. The reader returns the value that `parse` would return for the column's
 * text, but usually without creating a string first. Each statement has its own readers, because a reader remembers the
 * last row's value: neighbouring rows often have the same chat, sender or kind.
 */
export function createColumnReader(typeId: number, parse: (text: string) => unknown): ColumnReader {
  const known = readers[typeId];
  if (known !== undefined) return known();
  // Most rows have `{}` in `custom`.
  if (typeId === JSONB)
    return (bytes, from, to) => (isEmptyObject(bytes, from, to) ? {} : parse(readText(bytes, from, to)));
  return parse === noParser ? remembering(readText) : (bytes, from, to) => parse(readText(bytes, from, to));
}

const readers: Record<number, () => ColumnReader> = {
  [INT2]: () => readInteger,
  [INT4]: () => readInteger,
  [INT8]: () => remembering(readBigint),
  [BOOL]: () => (bytes, from) => bytes[from] === yes,
  [TIMESTAMPTZ]: () => readTimestamp,
};

function isEmptyObject(bytes: Buffer, from: number, to: number): boolean {
  return to - from === 2 && bytes[from] === brace;
}

function readText(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('utf8', from, to);
}

function readInteger(bytes: Buffer, from: number, to: number): number {
  const isNegative = bytes[from] === minus;
  let value = 0;
  for (let at = isNegative ? from + 1 : from; at < to; at += 1) value = 10 * value + (bytes[at] ?? zero) - zero;
  return isNegative ? -value : value;
}

function readBigint(bytes: Buffer, from: number, to: number): bigint {
  return to - from <= safeDigits ? BigInt(readInteger(bytes, from, to)) : BigInt(readText(bytes, from, to));
}

/**
 * Returns a reader that returns the previous value again if the bytes have not changed. Use it only for immutable
 * values.
 */
function remembering(read: (bytes: Buffer, from: number, to: number) => string | bigint): ColumnReader {
  const last = Buffer.allocUnsafe(maxRepeated);
  let lastLength = -1;
  let value: string | bigint | undefined;
  return (bytes, from, to) => {
    const length = to - from;
    if (length > maxRepeated) return read(bytes, from, to);
    if (length === lastLength && value !== undefined) {
      let at = length - 1;
      // The comparison starts at the end, because ids differ mostly in their last digits.
      for (; at >= 0 && last[at] === bytes[from + at]; at -= 1);
      if (at < 0) return value;
    }
    for (let at = 0; at < length; at += 1) last[at] = bytes[from + at] ?? 0;
    lastLength = length;
    value = read(bytes, from, to);
    return value;
  };
}
