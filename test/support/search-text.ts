import { printPattern } from '../../src/search/search-condition.ts';
import { matches } from '../../src/search/search-match.ts';
import { readSearch } from '../../src/search/search-query.ts';
import { printText, readText } from '../../src/search/search-text.ts';

/** Returns whether a search finds a text, by the rules in the server's code. */
export const finds = (query: string, text: string) => matches(readText(text), readSearch(query));

/** Like `finds`, but matches the patterns that a search sends to the database, in the same way as LIKE. */
export function findsByPattern(query: string, text: string): boolean {
  const tokens = printText(text);
  return readSearch(query).some((terms) =>
    terms.every(({ phrases, isExcluded }) => {
      const isThere = phrases.some((phrase) => tokens.includes(printPattern(phrase).slice(1, -1)));
      return isThere !== isExcluded;
    }),
  );
}
