import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import pg from 'pg';
import { expect, test } from 'vitest';
import { leaveRowsUndecoded, type DataRow, type MessageTarget } from '../../src/postgres/data-row.ts';
import { NamedStatement } from '../../src/postgres/named-statement.ts';

const { INT8, INT4, TEXT, TIMESTAMPTZ, BOOL } = pg.types.builtins;
const types = [INT8, INT4, TEXT, TIMESTAMPTZ, BOOL];

function message(code: string, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(code), int32(body.length + 4), body]);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

/** Returns the bytes that PostgreSQL sends when a prepared statement returns these rows. */
function answerWith(rows: readonly (string | null)[][]): Buffer {
  const fields = types.map((type, index) =>
    Buffer.concat([Buffer.from(`c${index}\0`), int32(0), int16(0), int32(type), int16(-1), int32(-1), int16(0)]),
  );
  const columnOf = (text: string | null) =>
    text === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(text)), Buffer.from(text)]);
  return Buffer.concat([
    message('2'),
    message('T', int16(types.length), ...fields),
    ...rows.map((row) => message('D', int16(row.length), ...row.map(columnOf))),
    message('C', Buffer.from(`SELECT ${rows.length}\0`)),
    message('Z', Buffer.from('I')),
  ]);
}

/** Returns the rows that a statement reads from these bytes when they arrive in pieces that end at these positions. */
function readInPieces(bytes: Buffer, ends: readonly number[]): { rows: unknown[]; texts: (string | null)[][] } {
  const target = new EventEmitter() as EventEmitter & MessageTarget;
  target._emitMessage = false;
  leaveRowsUndecoded(target);
  const stream = new PassThrough();
  target.attachListeners(stream);
  const parsers = { [INT8]: BigInt } as Record<number, (text: string) => unknown>;
  const parserOf = (type: number) => parsers[type] ?? (pg.types.getTypeParser(type, 'text') as never);
  const statement = new NamedStatement({ name: 'name', text: 'text', values: [] }, parserOf);
  const texts: (string | null)[][] = [];
  target.on('rowDescription', (fields) => statement.handleRowDescription(fields));
  target.on('dataRow', (row: DataRow) => {
    texts.push(row.fields);
    statement.handleDataRow(row);
  });
  target.on('commandComplete', (complete) => statement.handleCommandComplete(complete));
  target.on('readyForQuery', () => statement.handleReadyForQuery());
  let rows: unknown[] | null = null;
  statement.callback = (error, result) => {
    if (error !== null) throw error;
    rows = result?.rows ?? [];
  };
  let from = 0;
  for (const end of [...ends, bytes.length]) {
    // Each piece has its own copy of the bytes, like a piece from a socket.
    const piece = Buffer.from(bytes.subarray(from, end));
    stream.emit('data', piece);
    from = end;
  }
  if (rows === null) throw new Error('the statement has no answer');
  return { rows, texts };
}

const rows = [
  ['9007199254740993', '-5', 'é', '2026-11-27 18:30:00.5+00', 't'],
  ['9007199254740993', '2147483647', '', '2026-11-27 18:30:00.123456-03', 'f'],
  [null, null, null, null, null],
  ['-1', '0', 'x'.repeat(300), 'infinity', 't'],
  ['-1', '-2147483648', 'x'.repeat(32), '0044-03-15 00:00:00+00 BC', 'f'],
  ['123456789012345', '7', 'x'.repeat(32), '2000-01-01 00:00:00+05:30', null],
  ['1234567890123456', '7', '\u{1f600}', '12026-01-01 00:00:00+00', 't'],
];

const asValues = (row: readonly (string | null)[]) =>
  Object.fromEntries(
    row.map((text, index) => {
      const type = types[index] ?? TEXT;
      const parse = type === INT8 ? BigInt : (pg.types.getTypeParser(type, 'text') as (text: string) => unknown);
      return [`c${index}`, text === null ? null : parse(text)];
    }),
  );

test('rows that arrive in two pieces are read like whole ones, wherever the cut is', () => {
  const bytes = answerWith(rows);
  const expected = { rows: rows.map(asValues), texts: rows };
  for (let cut = 0; cut <= bytes.length; cut += 1) expect(readInPieces(bytes, [cut])).toEqual(expected);
  expect(
    readInPieces(
      bytes,
      Array.from({ length: bytes.length }, (_, index) => index),
    ),
  ).toEqual(expected);
});

test('any rows are read like the driver reads them, in any pieces', () => {
  const text = fc.oneof(fc.constantFrom('', 'a', 'GROUP', 'SINGLE'), fc.string({ unit: 'grapheme', maxLength: 200 }));
  const time = fc.date({ min: new Date(-62e12), max: new Date(7e12), noInvalidDate: true }).map((date) => {
    const iso = date.toISOString().replace('T', ' ').replace('Z', '+00');
    return /^[+-]/.test(iso) ? 'infinity' : iso;
  });
  const row = fc
    .tuple(
      fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
      fc.option(fc.integer().map(String)),
      fc.option(text.map((each) => each.replaceAll('\0', ''))),
      fc.option(time),
      fc.option(fc.constantFrom('t', 'f')),
    )
    .map((columns) => [...columns]);
  fc.assert(
    fc.property(
      fc.array(row, { maxLength: 40 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }),
      (all, places) => {
        const bytes = answerWith(all);
        const cuts = places.map((place) => Math.floor(place * bytes.length)).toSorted((one, other) => one - other);
        expect(readInPieces(bytes, cuts)).toEqual({ rows: all.map(asValues), texts: all });
      },
    ),
    { numRuns: 200 },
  );
});
