import { execFileSync } from 'node:child_process';
import process from 'node:process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRowReader, interpretRows, type Column } from '../../src/postgres/row-reader.ts';

/** A row as PostgreSQL sends it, without the number of its columns. */
function bytesOf(values: readonly (string | null)[]): Buffer {
  const parts = values.map((value) => {
    const text = Buffer.from(value ?? '');
    const length = Buffer.alloc(4);
    length.writeInt32BE(value === null ? -1 : text.length);
    return Buffer.concat([length, text]);
  });
  return Buffer.concat(parts);
}

const read: Column['read'] = (bytes, from, to) => bytes.toString('utf8', from, to);
const names = fc.oneof(
  fc.string(),
  fc.constantFrom('id', 'isFirst', 'm.id', '__proto__', 'constructor', '"', '`', '\\', '\u2028'),
);
const columns = fc.array(fc.tuple(names, fc.option(fc.string(), { nil: null })), { maxLength: 40 });

test('a compiled reader reads any row as an interpreting one does, whatever the columns are called', () => {
  fc.assert(
    fc.property(columns, fc.nat({ max: 20 }), (row, offset) => {
      const described = row.map(([name]) => ({ name, read }));
      const bytes = Buffer.concat([Buffer.alloc(offset, 255), bytesOf(row.map(([, value]) => value))]);
      const expected: Record<string, unknown> = Object.fromEntries(row);
      expect(createRowReader(described)(bytes, offset)).toStrictEqual(expected);
      expect(interpretRows(described)(bytes, offset)).toStrictEqual(expected);
    }),
  );
});

test('the readers of two connections do not share what they remember', () => {
  const counting = (): Column[] => {
    let count = 0;
    return [{ name: 'count', read: () => (count += 1) }];
  };
  const [one, other] = [createRowReader(counting()), createRowReader(counting())];
  const bytes = bytesOf(['x']);
  expect([one(bytes, 0), one(bytes, 0), other(bytes, 0)]).toEqual([{ count: 1 }, { count: 2 }, { count: 1 }]);
});

test('rows are also read where Node refuses to compile strings', () => {
  const script = `
    const { createRowReader } = await import('./src/postgres/row-reader.ts');
    const read = (bytes, from, to) => bytes.toString('utf8', from, to);
    const bytes = Buffer.from([0, 0, 0, 1, 97, 255, 255, 255, 255]);
    console.log(JSON.stringify(createRowReader([{ name: 'a', read }, { name: 'b', read }])(bytes, 0)));
  `;
  const flags = ['--disallow-code-generation-from-strings', '--no-warnings', '--input-type=module', '--eval', script];
  expect(JSON.parse(execFileSync(process.execPath, flags, { encoding: 'utf8' }))).toEqual({ a: 'a', b: null });
});
