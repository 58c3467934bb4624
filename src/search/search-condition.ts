import type { Phrase, SearchQuery, Term } from './search-query.ts';

/**
 * The maximum number of pairs of characters that are looked up in the index for a run. The first few pairs already
 * exclude almost all other messages.
 */
const maxPairs = 12;

/**
 * Returns the LIKE pattern that finds `phrase` in the tokens that search-text.ts formats. No escaping is needed,
 * because no word contains a character that is special in patterns.
 */
export function printPattern({ words, isWhole }: Phrase): string {
  const [first] = words;
  const last = words.at(-1);
  const text = words.map((word, index) => (word.isRun && index > 0 ? `~${word.text}` : word.text)).join(' ');
  return `%${first?.isRun === true ? '' : ' '}${text}${isWhole && last?.isRun !== true ? ' ' : ''}%`;
}

/**
 * Returns the search as an SQL condition on `tokens`, the text of an index entry. `bind` takes a value and returns its
 * placeholder.
 */
export function printCondition(query: SearchQuery, tokens: string, bind: (value: unknown) => string): string {
  const one = ({ phrases, isExcluded }: Term) =>
    `${tokens} ${isExcluded ? 'not like all' : 'like any'} (${bind(phrases.map(printPattern))}::text[])`;
  return `(${query.map((terms) => `(${terms.map(one).join(' and ')})`).join(' or ')})`;
}

/**
 * Returns the query for the index, as a tsquery. It finds every text that matches the search, and some others. Returns
 * null if the index cannot narrow the search down, because there are no words, or because one of the alternatives only
 * excludes words.
 */
export function printLexemes(query: SearchQuery): string | null {
  const alternatives = query.map((terms) => terms.filter(({ isExcluded }) => !isExcluded));
  if (alternatives.length === 0 || alternatives.some(({ length }) => length === 0)) return null;
  return either(alternatives.map((terms) => all(terms.map(({ phrases }) => either(phrases.map(printPhrase))))));
}

/** Quotes a key of the index for use in a tsquery. */
export function quoteLexeme(lexeme: string): string {
  return `'${lexeme.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** Returns a tsquery that matches if any of the given tsqueries match. */
export function either(queries: readonly string[]): string {
  return queries.length === 1 ? (queries[0] ?? '') : `(${queries.join(' | ')})`;
}

/** Returns a tsquery that matches if all of the given tsqueries match. */
export function all(queries: readonly string[]): string {
  return queries.join(' & ');
}

function printPhrase({ words, isWhole }: Phrase): string {
  const lexemes = words.flatMap(({ text, isRun }, index) => {
    if (isRun) return listPairs(text);
    return [`${quoteLexeme(text)}${index === words.length - 1 && !isWhole ? ':*' : ''}`];
  });
  return all([...new Set(lexemes)]);
}

function listPairs(run: string): string[] {
  const characters = [...run];
  if (characters.length === 1) return [`${quoteLexeme(run)}:*`];
  return characters.slice(1, maxPairs + 1).map((character, index) => quoteLexeme(`${characters[index]}${character}`));
}
