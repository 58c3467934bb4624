import { maxNameLength, readLine } from '../core/text.ts';
import { InvalidInput, type FieldError } from '../errors.ts';
import { printLexemes } from './search-condition.ts';
import { readSearch, type SearchQuery } from './search-query.ts';

/** A search for names: what to look for, and what to ask the index for, as a tsquery. */
export type NameSearch = { query: SearchQuery; lexemes: string };

/**
 * Parses a search for names. Null if it searches for nothing, because it has no words or only excluded ones. Throws
 * InvalidInput for text that no name could contain.
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
