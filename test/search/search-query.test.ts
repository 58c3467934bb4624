import { expect, test } from 'vitest';
import { quoteBeginning, readSearch } from '../../src/search/search-query.ts';

test.each([
  ['cat', '', '', 'cat'],
  ['black cat', '', 'black ', 'cat'],
  ['black cat or white dog', 'black cat ', ' white ', 'dog'],
  ['one OR two or three', 'one OR two ', ' ', 'three'],
  ['"black cat" do', '', '"black cat" ', 'do'],
  ['"this or that" or other', '"this or that" ', ' ', 'other'],
  ['"this or that" other', '', '"this or that" ', 'other'],
  ['-dog cat', '', '-dog ', 'cat'],
  ['cat or', '', 'cat ', 'or'],
  ['or cat', '', 'or ', 'cat'],
  ['order cat', '', 'order ', 'cat'],
  ['two\nlines', '', 'two\n', 'lines'],
])('the last word of %j is a prefix', (text, alternatives, words, beginning) => {
  expect(readSearch(text)).toEqual({ alternatives, words, beginning });
});

test.each(['cat -dog', '-dog', '"black cat"', 'say "black cat', 'a "phrase" and"more', 'cat or -dog', '', 'word"'])(
  '%j has no word that may be incomplete',
  (text) => {
    expect(readSearch(text)).toEqual({ alternatives: text, words: '', beginning: '' });
  },
);

test('within a word, the special syntax of PostgreSQL’s search is plain text', () => {
  expect(quoteBeginning('')).toBe('');
  expect(quoteBeginning('cat')).toBe(`'cat':*`);
  expect(quoteBeginning(`it's`)).toBe(`'it''s':*`);
  expect(quoteBeginning('a\\b')).toBe(`'a\\\\b':*`);
});
