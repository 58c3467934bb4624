import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { findNames } from '../../src/message/mention.ts';
import { cutLongWords } from '../../src/search/search-query.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { atFileEnd } from '../support/file-end.ts';

const maxLength = 10_000;
const plain = 'The quick brown fox, @ada, jumps over the lazy dog. '.repeat(200).slice(0, maxLength);
/**
 * A hostile text may cost this many times what a plain text of the same length does; uncut, e_e_e_… costs 700 times as
 * much.
 */
const maxFactor = 25;

let database: TestDatabase;
let indexed: string;
beforeAll(async () => {
  database = await createDatabase();
  const { rows } = await database.sql.query<{ expression: string }>(
    `select pg_get_expr(d.adbin, d.adrelid) as expression
    from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
    where d.adrelid = 'messages'::regclass and a.attname = 'words'`,
  );
  indexed = rows[0]?.expression ?? '';
});
atFileEnd(() => database.drop());

/** Texts of the maximum length: a short unit that parsers can read in several ways, repeated. */
const unit = fc.string({
  unit: fc.constantFrom(...'e_-./@:<>&%+#?=~1!"\'\\ \n(', 'ä', '𝒳', 'http://', '<!--', '&#1;', 'www.'),
  minLength: 1,
  maxLength: 6,
});
const hostile = fc
  .tuple(fc.string({ maxLength: 3 }), unit, fc.string({ maxLength: 3 }))
  .map(([start, repeated, end]) => start + repeated.repeat(maxLength).slice(0, maxLength - 10) + end);

/** The minimum duration of several runs, in ms. */
async function timeOf(work: () => unknown, runs: number): Promise<number> {
  let least = Infinity;
  for (let run = 0; run < runs; run += 1) {
    const startedAt = performance.now();
    await work();
    least = Math.min(least, performance.now() - startedAt);
  }
  return least;
}

/** Whether the work takes less than `limitMs` in one of twenty runs: others may need the processor in most of them. */
async function isDoneWithin(limitMs: number, work: () => unknown): Promise<boolean> {
  for (let run = 0; run < 20; run += 1) if ((await timeOf(work, 1)) < limitMs) return true;
  return false;
}

const index = (content: string) =>
  database.sql.query(
    `select length(${indexed}) from (select $1::text as content, 1::bigint as chat_id offset 0) as messages`,
    [content.toWellFormed().replaceAll('\0', '')],
  );

test('no text costs much more to index in the commit than plain text of the same length', async () => {
  const plainMs = await timeOf(() => index(plain), 10);
  for (const repeated of ['e_', '~/', 'e_e-', '<!--', '<a ', 'a.b-', '1-', 'http://e_', 'e@', '&a']) {
    const text = repeated.repeat(maxLength).slice(0, maxLength);
    expect(await isDoneWithin(maxFactor * plainMs, () => index(text)), repeated).toBe(true);
  }
  await fc.assert(
    fc.asyncProperty(hostile, async (text) => isDoneWithin(maxFactor * plainMs, () => index(text))),
    { numRuns: 60, endOnFailure: true },
  );
});

test('no text costs much more to search for names than plain text of the same length', async () => {
  const plainMs = Math.max(0.2, await timeOf(() => findNames(plain), 10));
  const texts = [
    '@a' + '.'.repeat(9_990) + 'x',
    '@a.'.repeat(3_300),
    '@a' + '.a'.repeat(4_990),
    '@' + 'a'.repeat(9_990) + 'é',
  ];
  for (const text of texts) expect(await isDoneWithin(maxFactor * plainMs, () => findNames(text))).toBe(true);
  const named = fc.tuple(unit, unit).map(([one, other]) => `@${one}${other}`.repeat(maxLength).slice(0, maxLength));
  await fc.assert(
    fc.asyncProperty(fc.oneof(hostile, named), async (text) =>
      isDoneWithin(maxFactor * plainMs, () => findNames(text)),
    ),
    { numRuns: 200, endOnFailure: true },
  );
});

test('a search cuts a long word as the index does', async () => {
  const words = fc.string({ unit: fc.constantFrom('a', 'b', '-', '.', '_', 'ä', '𝒳'), minLength: 60, maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(fc.array(words, { minLength: 1, maxLength: 3 }), async (several) => {
      const text = several.map((word) => `a${word}`).join(' ');
      const { rows } = await database.sql.query(
        `select ${indexed} @@ websearch_to_tsquery('simple', lower($2)) as found
        from (select $1::text as content, 1::bigint as chat_id offset 0) as messages`,
        [text, cutLongWords(text)],
      );
      expect(rows).toEqual([{ found: true }]);
    }),
    { numRuns: 300 },
  );
});
