import pg from 'pg';
import { readTimestamp } from './timestamp.ts';

/** Reads one column's value from the bytes of its text. */
export type ColumnReader = (bytes: Buffer, from: number, to: number) => unknown;

const zero = '0'.charCodeAt(0);
const minus = '-'.charCodeAt(0);
const yes = 't'.charCodeAt(0);
const brace = '{'.charCodeAt(0);
/** A number can represent every integer of this many digits exactly. */
const safeDigits = 15;
/** Longer texts are rarely the same in the next row. */
const maxRepeated = 32;

const { BOOL, INT2, INT4, INT8, TEXT, TIMESTAMPTZ } = pg.types.builtins;
const JSONB: number = pg.types.builtins.JSONB;

/** The driver's parser of text and of the types that it does not know, such as enums: it returns the text. */
const noParser: unknown = pg.types.getTypeParser(TEXT, 'text');

/**
 * The reader of a column of this type. It returns what `parse` makes of the column's text, but mostly without making a
 * string first. Each statement has its own readers: they remember the
 * last row's value, because neighbouring rows often have the same chat, sender or kind.
 */
export function createColumnReader(typeId: number, parse: (text: string) => unknown): ColumnReader {
  const known = readers[typeId];
  if (known !== undefined) return known();
  // Most rows have `{}` as `custom`.
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

/** The last value again, if these are the same bytes. Only for values that cannot be changed. */
function remembering(read: (bytes: Buffer, from: number, to: number) => string | bigint): ColumnReader {
  const last = Buffer.allocUnsafe(maxRepeated);
  let lastLength = -1;
  let value: string | bigint | undefined;
  return (bytes, from, to) => {
    const length = to - from;
    if (length > maxRepeated) return read(bytes, from, to);
    if (length === lastLength && value !== undefined) {
      let at = length - 1;
      // From the end: ids differ mostly in their last digits.
      for (; at >= 0 && last[at] === bytes[from + at]; at -= 1);
      if (at < 0) return value;
    }
    for (let at = 0; at < length; at += 1) last[at] = bytes[from + at] ?? 0;
    lastLength = length;
    value = read(bytes, from, to);
    return value;
  };
}
