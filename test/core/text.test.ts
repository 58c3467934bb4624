import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readLine, readText } from '../../src/core/text.ts';
import type { FieldError } from '../../src/errors.ts';
import { createDatabase } from '../support/database.ts';

type Read = (value: string, path: string[], maxLength: number, errors: FieldError[]) => string;

function read(by: Read, value: string, maxLength = 8): { text: string; problems: string[] } {
  const errors: FieldError[] = [];
  const text = by(value, ['field'], maxLength, errors);
  expect(errors.every(({ path }) => path.join('.') === 'field')).toBe(true);
  return { text, problems: errors.map(({ message }) => message) };
}

const isTaken = (by: Read, value: string, maxLength?: number) => read(by, value, maxLength).problems.length === 0;

test('surrounding whitespace is trimmed before anything is checked', () => {
  for (const by of [readLine, readText]) {
    expect(read(by, ' \t\n a b \u00a0\u3000\r\n')).toEqual({ text: 'a b', problems: [] });
    expect(read(by, `${' '.repeat(99)}12345678${' '.repeat(99)}`)).toEqual({ text: '12345678', problems: [] });
    expect(read(by, ' \n ').problems).toEqual(['must not be empty']);
  }
});

test('length is counted in code points', () => {
  for (const by of [readLine, readText]) {
    expect(isTaken(by, '😀'.repeat(8))).toBe(true);
    expect(read(by, '😀'.repeat(9)).problems).toEqual(['must be at most 8 characters long']);
    expect(read(by, 'x'.repeat(9)).problems).toEqual(['must be at most 8 characters long']);
    expect(read(by, 'x'.repeat(1_000_000)).problems).toEqual(['must be at most 8 characters long']);
  }
});

test('line ends become newlines in a text, and are refused in a line', () => {
  expect(read(readText, 'a\r\nb\rc\n\td').text).toBe('a\nb\nc\n\td');
  for (const control of ['\r', '\n', '\t']) {
    expect(read(readLine, `a${control}b`).problems).toEqual(['must not contain control characters']);
  }
});

test('control characters and lone surrogates are refused', () => {
  for (const by of [readLine, readText]) {
    for (const control of ['\u0000', '\u0001', '\u000b', '\u001f', '\u007f', '\u0080', '\u009f']) {
      expect(read(by, `a${control}b`).problems).toEqual(['must not contain control characters']);
    }
    expect(read(by, 'a\ud800b').problems).toEqual(['must be well-formed Unicode']);
    expect(isTaken(by, 'a\u200db\ufe0f')).toBe(true);
  }
});

test('the database accepts exactly what the program accepts', async () => {
  await using database = await createDatabase();
  const unit = fc.oneof(
    fc.constantFrom(
      ' ',
      '\t',
      '\n',
      '\r',
      '\u000b',
      '\u0085',
      '\u00a0',
      '\u1680',
      '\u180e',
      '\u2007',
      '\u2028',
      '\u202f',
    ),
    fc.constantFrom('\u3000', '\ufeff', '\u200b', '\u0007', '\u001c', '\u007f', '😀', 'é', 'x'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  );
  const values = fc.sample(fc.string({ unit, maxLength: 10 }), 2_000).map((value) => value.replaceAll('\u0000', ''));
  const taken = values.map((value) => ({ line: read(readLine, value), text: read(readText, value) }));
  const { rows } = await database.sql.query(
    'select is_line(line, 8) as line, is_text(body, 8) as text from unnest($1::text[], $2::text[]) as v (line, body)',
    [taken.map(({ line }) => line.text), taken.map(({ text }) => text.text)],
  );
  // The database refuses nothing that the program accepts, so that no input causes an internal error.
  const surprises = taken.filter(
    ({ line, text }, index) =>
      (line.problems.length === 0 && !rows[index].line) || (text.problems.length === 0 && !rows[index].text),
  );
  expect(surprises).toEqual([]);
  // The database also refuses, from other clients, what the program refuses for its length or its control characters.
  const loopholes = taken.filter(
    ({ line, text }, index) =>
      (line.problems.length > 0 && line.text !== '' && rows[index].line) ||
      (text.problems.length > 0 && text.text !== '' && rows[index].text),
  );
  expect(loopholes).toEqual([]);
});
