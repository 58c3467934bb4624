import { maxNameLength, readLine } from '../core/text.ts';
import { InvalidInput, type FieldError } from '../errors.ts';
import { printLexemes } from './search-condition.ts';
import { readSearch, type SearchQuery } from './search-query.ts';

/** A search for names: the parsed query, and the query for the index as a tsquery. */
export type NameSearch = { query: SearchQuery; lexemes: string };

/**
 * Parses a search for names. Returns null if the search cannot find anything, because it has no words or only excluded
 * words. Throws an InvalidInput for text that cannot occur in a name.
 */
export function readNameSearch(search: string): NameSearch | null {
  if (search.trim() === '') return null;
  const errors: FieldError[] = [];
  const text = readLine(search, ['search'], maxNameLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  const query = readSearch(text);
  const lexemes = printLexemes(query);
  return lexemes === null ? null : { query, lexemes };
}
