/**
 * A parsed search, in the three parts of PostgreSQL's query: it finds messages that match `alternatives`, and messages
 * that match `words` and contain a word that starts with `beginning`. An empty part adds nothing to the query.
 */
export type SearchQuery = { alternatives: string; words: string; beginning: string };

/** The index splits words into pieces of this many characters: see `words` in the migration of messages. */
const maxPieceLength = 64;

/**
 * Splits the search's long words into the same pieces as the index does. A later piece loses its leading minus: inside
 * a word it excludes nothing. Pieces without a word are left out: the index has nothing for the `...` of `wait ...
 * what`, but websearch_to_tsquery would require it.
 */
export function cutLongWords(text: string): string {
  const readable = text.replaceAll('<', ' ');
  return readable.replace(/[^ \t\n"]+/gu, (word, at: number) => {
    // The minus of -"a phrase".
    if (word === '-' && readable[at + 1] === '"') return word;
    if (word.length <= maxPieceLength) return hasWord(word) ? word : ' ';
    const characters = [...word];
    const pieces: string[] = [];
    for (let from = 0; from < characters.length; from += maxPieceLength) {
      const piece = characters.slice(from, from + maxPieceLength).join('');
      if (hasWord(piece)) pieces.push(from === 0 ? piece : piece.replace(/^-+/, ''));
    }
    return pieces.join(' ');
  });
}

function hasWord(text: string): boolean {
  return /[a-z0-9]|[^\x00-\x7f]/iu.test(text);
}

/**
 * How many words a search has: runs of letters and digits, and of other characters beyond ASCII, which may or may not
 * be words, depending on the database's locale.
 */
export function countWords(text: string): number {
  return text.match(/[\p{L}\p{N}\p{M}]+|[^\s\p{L}\p{N}\p{M}\x00-\x7f]+/gu)?.length ?? 0;
}

/**
 * Parses a search in web-search syntax ("a phrase", -not, or). The user may still be typing the last word, so it counts
 * as a prefix unless it is in quotes or follows a minus. Accepts any text; there are no syntax errors.
 */
export function readSearch(text: string): SearchQuery {
  const [, head = '', word = ''] = /^(|.*\s)([^\s"-][^\s"]*)$/s.exec(text) ?? [];
  if (word === '' || isInQuotes(head)) return { alternatives: text, words: '', beginning: '' };
  // In websearch_to_tsquery, `or` binds less tightly than the space between two words; the same must hold here.
  const separator = lastOr(head);
  return separator === null
    ? { alternatives: '', words: head, beginning: word }
    : { alternatives: head.slice(0, separator.from), words: head.slice(separator.to), beginning: word };
}

/** The word as a prefix for to_tsquery, which takes everything in single quotes as text; empty for an empty word. */
export function quoteBeginning(word: string): string {
  return word === '' ? '' : `'${word.replaceAll('\\', '\\\\').replaceAll("'", "''")}':*`;
}

function isInQuotes(text: string): boolean {
  return text.split('"').length % 2 === 0;
}

/** The position of the last `or` that separates alternatives, not words of a quoted phrase; null if there is none. */
function lastOr(text: string): { from: number; to: number } | null {
  const separators = [...text.matchAll(/(?<=\S\s+)or(?=\s)/gi)]
    .map(({ index }) => ({ from: index, to: index + 2 }))
    .filter(({ from }) => !isInQuotes(text.slice(0, from)));
  return separators.at(-1) ?? null;
}
