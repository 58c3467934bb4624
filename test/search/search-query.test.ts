import fc from 'fast-check';
import { expect, test } from 'vitest';
import cases from './cases/search.json' with { type: 'json' };
import { foldWord } from '../../src/core/fold.ts';
import { normalizeText, normalizeWithPlaces } from '../../src/core/normal-text.ts';
import { listPieces } from '../../src/core/word.ts';
import { readSearch } from '../../src/search/search-query.ts';
import { locateText, printReadings, printText, readText } from '../../src/search/search-text.ts';
import { makeSnippet } from '../../src/search/snippet.ts';
import { finds, findsByPattern } from '../support/search-text.ts';

test.each(cases)('$group: $query in $text: $why', ({ text, query, found }) => {
  expect(finds(query, text)).toBe(found);
  expect(findsByPattern(query, text)).toBe(found);
});

test.each([
  ['RowsBy', 'call fetchRowsByKey()', true],
  ['"github actions"', 'GitHub Actions', true],
  ["don't", 'we dont know', true],
  ['dont', "we don't know", true],
  ['"eau froide"', "de l'eau froide", true],
  ['.net', 'a fishing net', false],
  ['.docx', 'plan.docx', true],
  ['צה"ל', 'צה"ל הודיע', true],
  ['c++17', 'C++17 works', true],
  ['‘purple tram’', 'a purple tram', true],
  ["'purple tram'", 'tram purple', false],
  ['3点', '3点に会議', true],
  ['五3', '周五3点', true],
  ['👩', '👨‍👩‍👧 hi', true],
  ['🇫🇷', '🇩🇪🇫🇷', true],
  ['1️⃣', '1️⃣ first', true],
  ['мои', 'мой дом', false],
  ['750', '٧٥٠ ريال', true],
  ['میخواهم', 'می‌خواهم', true],
  ['İSTANBUL', 'istanbul', true],
  ['doe@ex', 'jane.doe@example.com', true],
  ['jane.doe@example.com', 'jane.doe@example.com', true],
  ['client/server', 'a client/server system', true],
  ['final-v2', 'report_final-v2.pdf', true],
  ['https://host/path/qwerty4?x=1', 'https://host/path/qwerty4?x=1', true],
  ['r&d', 'the R&D budget', true],
  ['-x', 'x', false],
  ['-x', 'y', true],
  ['cat or', 'or a cat', true],
  ['or cat', 'a cat', false],
  ['"this or that" or other', 'that other', true],
  ['ရုံး', 'ကျွန်တော် ရုံးကို သွားမယ်', true],
  ['ធ្វើការ', 'ខ្ញុំទៅធ្វើការ', true],
  ['น้ำ', 'ดื่มน้ำ', true],
  ['STRAẞE', 'die straße', true],
  ['„purple tram“', 'a purple tram', true],
  ['＂tram purple＂', 'a purple tram', false],
  ['cider OR lemonade', 'lemonade', true],
  ['−red car', 'red car', false],
  ['محمد', 'مُحَمَّد', true],
  ['العربية', 'العـــربية', true],
  ['שלום', 'שָׁלוֹם', true],
  ['जरूरत', 'ज़रूरत', true],
  ['국어', '한국어', false],
  ['ລາວ', 'ພາສາລາວ', true],
  ['c', 'C++', true],
  ['"c"', 'C++', false],
  ['#general', 'see #general', true],
  ['XMLHttp', 'use XMLHttpRequest', true],
  ['½', '1/2', true],
])('%j in %j: %j', (query, text, found) => {
  expect(finds(query, text)).toBe(found);
  expect(findsByPattern(query, text)).toBe(found);
});

const pieces = [
  'a',
  'b',
  'ab',
  'aB',
  '上',
  '海',
  '上海',
  '🚀',
  '한',
  "'",
  '.',
  '-',
  '_',
  '"',
  ' ',
  ' ',
  '+',
  '#',
  'é',
  'e\u0301',
  'ß',
];
const mixed = fc.array(fc.constantFrom(...pieces, '\u0e04', 'ﾌ', 'ﾟ', '\u200d', '\ufe0f', 'ﬁ', ',', 'or'), {
  maxLength: 14,
});
const text = mixed.map((parts) => parts.join(''));

test('the patterns find exactly what the rules say', () => {
  fc.assert(
    fc.property(text, text, (query, content) => {
      expect(findsByPattern(query, content)).toBe(finds(query, content));
    }),
    { numRuns: 3_000 },
  );
});

test('the index stores the same words for a plain text as for a text that takes the slow path', () => {
  const ascii = fc.array(
    fc.constantFrom('a', 'B', 'see', 'x'.repeat(70), '7', '.', "'", '`', '+', '#', ' ', '-', '\n'),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        ascii.map((parts) => parts.join('')),
        fc.string({ unit: 'binary-ascii' }),
        text,
      ),
      (content) => {
        expect(printText(content)).toBe(printReadings(readText(content)));
      },
    ),
    { numRuns: 3_000 },
  );
});

test('a text is found by itself, unless it contains an operator', () => {
  fc.assert(
    fc.property(text, (content) => {
      fc.pre(readText(content)[0].length > 0 && !/["'-]|or/.test(content));
      expect(finds(content, content)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test('folding a folded word changes nothing, whichever character it is', () => {
  const unstable: string[] = [];
  for (let code = 0; code <= 0x10ffff; code += 1) {
    const character = String.fromCodePoint(code);
    const words = listPieces(normalizeText(character)).map((piece) => piece.text);
    if (words.some((word) => foldWord(word) !== word)) unstable.push(character);
  }
  expect(unstable).toEqual([]);
});

test('folding a folded word changes nothing, and composed and decomposed texts have the same words', () => {
  const anything = fc.oneof(text, fc.string({ unit: 'binary', maxLength: 20 }));
  fc.assert(
    fc.property(anything, (content) => {
      for (const piece of listPieces(normalizeText(content))) expect(foldWord(piece.text)).toBe(piece.text);
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(text, (content) => {
      expect(printReadings(readText(content.normalize('NFD')))).toBe(printReadings(readText(content.normalize('NFC'))));
    }),
  );
});

test('normalizing with positions gives the same text, and positions in the original', () => {
  fc.assert(
    fc.property(fc.oneof(text, fc.string({ unit: 'grapheme', maxLength: 20 })), (content) => {
      const { text: normalized, placeOf } = normalizeWithPlaces(content);
      expect(normalized).toBe(normalizeText(content));
      const places = Array.from({ length: normalized.length + 1 }, (_, position) => placeOf(position));
      expect(places).toEqual(places.toSorted((one, other) => one - other));
      expect(places.at(-1)).toBe(content.length);
    }),
    { numRuns: 2_000 },
  );
  const { readings, locate } = locateText('die ﬁne ﾌﾟﾘﾝﾀ');
  expect(readings[0].map(locate)).toEqual([
    { start: 0, end: 3 },
    { start: 4, end: 7 },
    { start: 8, end: 13 },
  ]);
});

test('matches are highlighted, with positions in code points', () => {
  const highlight = (query: string, content: string) => {
    const { text: snippet, ranges } = makeSnippet(content, readSearch(query));
    return ranges.map(({ start, end }) => [...snippet].slice(start, end).join(''));
  };
  expect(highlight('café tram', '🚀 Cafe\u0301, a purple TRAM')).toEqual(['Cafe\u0301', 'TRAM']);
  expect(highlight('"purple tram" -x', 'a purple, tram')).toEqual(['purple, tram']);
  expect(highlight('杭州', '我们下午在杭州开会，杭州')).toEqual(['杭州', '杭州']);
  expect(highlight('orb-27', 'see ORB-2718')).toEqual(['ORB-2718']);
  expect(highlight('strasse', 'die Straße')).toEqual(['Straße']);
  expect(highlight('プリンタ', '新ﾌﾟﾘﾝﾀが')).toEqual(['ﾌﾟﾘﾝﾀ']);
  expect(highlight('rows', 'fetchRowsByKey()')).toEqual(['fetchRowsByKey']);
  expect(highlight('tram', `${'so '.repeat(3_000)}😀 tram ${'so '.repeat(300)}`)).toEqual(['tram']);
  expect(highlight('', 'anything')).toEqual([]);
  fc.assert(
    fc.property(text, text, (query, content) => {
      const { text: snippet, ranges } = makeSnippet(content.repeat(20), readSearch(query));
      const length = [...snippet].length;
      for (const { start, end } of ranges) expect(0 <= start && start < end && end <= length).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

test('the time to index or highlight a text grows with its length, whatever is in it', () => {
  const repeated = [
    'a\u0301\u0323',
    '\u0301\u0323',
    '\ufdfa',
    'e_',
    'aB',
    'a+',
    '#',
    "a'",
    '.a',
    '👍🏽',
    '🇩',
    '上',
    '㌖',
    'ß',
    'İ',
    '\u200d',
  ];
  const units = fc.array(fc.constantFrom(...repeated, ...pieces), { minLength: 1, maxLength: 4 });
  const searches = ['a '.repeat(32), `"${'a '.repeat(31)}b"`, '上', 'e or b or ß or 한 or 上海'].map(readSearch);
  const worksOn = (content: string) => [
    () => printReadings(readText(content)),
    ...searches.map((query) => () => makeSnippet(content, query)),
  ];
  const timeOf = (work: () => unknown) => {
    const before = performance.now();
    work();
    return performance.now() - before;
  };
  const leastOf = (work: () => unknown) => Math.min(...Array.from({ length: 5 }, () => timeOf(work)));
  const cut = (content: string, length: number) => [...content.repeat(length)].slice(0, length).join('');
  const ordinary = worksOn(cut('See you at seven, the tram is late again. ', 10_000)).map(leastOf);
  fc.assert(
    fc.property(units, (unit) => {
      const [whole, half] = [10_000, 5_000].map((length) => worksOn(cut(unit.join(''), length)));
      whole?.forEach((work, index) => {
        const [halfMs, ordinaryMs] = [leastOf(half?.[index] ?? work), ordinary[index] ?? 0];
        // The whole text takes twice as long as half of it. With quadratic cost, it would take four times as long. A
        // text that expands takes up to 16 times as long as an ordinary text.
        const mostMs = Math.min(3 * halfMs, 60 * ordinaryMs) + 1;
        let least = Infinity;
        // Take the minimum of several runs, because other tests run at the same time.
        for (let run = 0; run < 200 && least > mostMs; run += 1) least = Math.min(least, timeOf(work));
        expect(least).toBeLessThan(mostMs);
      });
    }),
    { numRuns: 30 },
  );
});
