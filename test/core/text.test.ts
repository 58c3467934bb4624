import fc from 'fast-check';
import { expect, test } from 'vitest';
import cases from './cases/text.json' with { type: 'json' };
import { readEmail } from '../../src/account/email.ts';
import { checkNewUsername } from '../../src/account/username.ts';
import { parseDateTime } from '../../src/core/date-time.ts';
import { maxContentLength, maxNameLength, readLine, readName, readText } from '../../src/core/text.ts';
import type { FieldError } from '../../src/errors.ts';
import { createDatabase } from '../support/database.ts';
import { rounds } from '../support/rounds.ts';

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

const fields: Record<string, (value: string, errors: FieldError[]) => unknown> = {
  message: (value, errors) => readText(value, ['field'], maxContentLength, errors),
  displayName: (value, errors) => readName(value, ['field'], maxNameLength, errors),
  chatName: (value, errors) => readName(value, ['field'], maxNameLength, errors),
  username: checkNewUsername,
  email: readEmail,
};

test.each(cases)('$field $text: $why', ({ field, text, times, ok }) => {
  const errors: FieldError[] = [];
  fields[field]?.(text.repeat(times ?? 1), errors);
  expect(errors.length === 0).toBe(ok);
});

test('a name is in the normal form', () => {
  expect(read(readName, 'Zoe\u0308')).toEqual({ text: 'Zo\u00eb', problems: [] });
  expect(read(readName, 'e\u0301'.repeat(8)).problems).toEqual([]);
});

test.each(['two\u2028lines', 'two\u2029lines', 'Ada\u061c', '\u200eAda', '\u115f', '\u034f', '\u{1d159}', '\u{e0041}'])(
  'the name %j is refused',
  (name) => {
    expect(read(readName, name).problems).not.toEqual([]);
  },
);

/** In the Unicode planes that are left out, each character is a letter, unassigned or for private use. */
const planes = rounds('code < 131072 or code between 917504 and 921599', 'true');

test('the database and the program know the same characters that display nothing, and the same direction marks', async () => {
  await using database = await createDatabase();
  const { rows } = await database.sql.query<{ code: number; text: boolean; name: boolean }>(
    `select code, is_text(chr(code), 8) and displays_something(chr(code)) as text, is_name('a' || chr(code) || 'a', 8) as name
    from generate_series(1, 1114111) code where code not between 55296 and 57343 and (${planes})`,
  );
  expect(rows.length).toBeGreaterThan(rounds(130_000, 1_000_000));
  const accepts = (by: Read, value: string) => {
    const errors: FieldError[] = [];
    return by(value, ['field'], 8, errors) === value && errors.length === 0;
  };
  const different = rows.filter(({ code, text, name }) => {
    const character = String.fromCodePoint(code);
    // The program first trims the text and replaces its line ends.
    const isText = character.trim() === '' ? text : accepts(readText, character);
    return isText !== text || accepts(readName, `a${character}a`) !== name;
  });
  expect(different).toEqual([]);
});

test.each([
  ['2026-11-22T10:29:00Z', '2026-11-22T10:29:00.000Z'],
  ['2026-11-22t10:29:00.123456z', '2026-11-22T10:29:00.123Z'],
  ['2026-11-22T10:29:00.5+05:30', '2026-11-22T04:59:00.500Z'],
  ['2024-02-29T00:00:00-00:00', '2024-02-29T00:00:00.000Z'],
  ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
  ...['2026-02-29T00:00:00Z', '2026-04-31T00:00:00Z', '2026-13-01T00:00:00Z', '2026-00-10T00:00:00Z'].map(none),
  ...['2026-01-01T24:00:00Z', '2026-01-01T23:60:00Z', '2026-01-01T23:59:60Z', '2026-01-01T00:00:00+24:00'].map(none),
  ...['2026-01-01', '2026-01-01T00:00:00', '2026-01-01 00:00:00Z', '2026-01-01T00:00Z', '+002026-01-01T00:00:00Z'].map(
    none,
  ),
  ...['2026-01-01T00:00:00.Z', '2026-01-01T00:00:00+0100', ' 2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z\n', '1'].map(
    none,
  ),
])('the date-time %j is %j', (text, instant) => {
  expect(parseDateTime(text)?.toISOString() ?? null).toBe(instant);
});

function none(text: string): [string, null] {
  return [text, null];
}

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
    'select is_line(line, 8) as line, is_text(body, 8) and displays_something(body) as text from unnest($1::text[], $2::text[]) as v (line, body)',
    [taken.map(({ line }) => line.text), taken.map(({ text }) => text.text)],
  );
  // The database accepts everything that the program accepts, so that no input causes an internal error.
  const surprises = taken.filter(
    ({ line, text }, index) =>
      (line.problems.length === 0 && !rows[index].line) || (text.problems.length === 0 && !rows[index].text),
  );
  expect(surprises).toEqual([]);
  // The database also refuses text from other clients if the program would refuse it because of its length or its
  // control characters.
  const loopholes = taken.filter(
    ({ line, text }, index) =>
      (line.problems.length > 0 && line.text !== '' && rows[index].line) ||
      (text.problems.length > 0 && text.text !== '' && rows[index].text),
  );
  expect(loopholes).toEqual([]);
});

test('the database and the program accept the same email addresses', async () => {
  await using database = await createDatabase();
  const part = fc.string({
    unit: fc.constantFrom('a', 'Z', '7', '-', '.', '+', '_', "'", '@', 'é', ' '),
    maxLength: 6,
  });
  const address = fc.tuple(part, part, part).map(([name, host, end]) => `${name}@${host}.${end}`);
  const long = [64, 63].flatMap((length) => [`x@${'a'.repeat(length)}.example`, `${'x'.repeat(length)}@example`]);
  const longest = [254, 255].map((length) => `${'x'.repeat(length - 8)}@example`);
  const values = [...fc.sample(address, 3_000), ...fc.sample(fc.emailAddress(), 500), ...long, ...longest];
  const { rows } = await database.sql.query<{ ok: boolean }>(
    'select is_email(value) as ok from unnest($1::text[]) with ordinality as v (value, place) order by place',
    [values],
  );
  const accepts = (value: string) => {
    const errors: FieldError[] = [];
    return readEmail(value, errors) === value && errors.length === 0;
  };
  expect(values.filter((value, index) => accepts(value) !== rows[index]?.ok)).toEqual([]);
  expect(values.filter(accepts).length).toBeGreaterThan(500);
});

test('rows that are older than a rule can be changed, and a new text must obey it', async () => {
  await using database = await createDatabase();
  const { sql } = database;
  const tables = { users: 'display_name', chats: 'name', messages: 'content' };
  for (const [table, column] of Object.entries(tables)) {
    await sql.query(`alter table ${table} disable trigger refuse_${column}`);
  }
  await sql.query(
    `insert into users (username, email, display_name) values ('ada', 'ada@example.com', 'Zoe' || chr(776))`,
  );
  await sql.query(`insert into chats (type, name) values ('GROUP', 'cafe' || chr(769))`);
  await sql.query('insert into members (chat_id, user_id) select c.id, u.id from chats c, users u');
  await sql.query(`insert into messages (chat_id, sender_id, content)
    select c.id, u.id, chr(8203) from chats c, users u`);
  for (const [table, column] of Object.entries(tables)) {
    await sql.query(`alter table ${table} enable always trigger refuse_${column}`);
  }
  await sql.query(
    `insert into messages (chat_id, sender_id, content) select c.id, u.id, 'hello' from chats c, users u`,
  );
  await sql.query(`update users set display_name = display_name`);
  await sql.query(`update chats set name = name`);
  await sql.query(`update messages set sender_id = null`);
  for (const [table, column] of Object.entries(tables)) {
    await expect(sql.query(`update ${table} set ${column} = chr(8203) || chr(8203)`)).rejects.toMatchObject({
      code: '23514',
      constraint: `${table}_${column}_check`,
    });
  }
});
