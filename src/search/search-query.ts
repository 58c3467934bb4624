/**
 * What somebody looks for, in the three parts that PostgreSQL is asked with: messages that match `alternatives`, and
 * those that match `words` and have a word that begins with `beginning`. A part that is empty asks for nothing.
 */
export type SearchQuery = { alternatives: string; words: string; beginning: string };

/** The index holds words in pieces of so many characters: see `words` in the migration of messages. */
const maxPieceLength = 64;

/** The search with its long words in the same pieces as in the index. A minus within a word is none before one. */
export function cutLongWords(text: string): string {
  return text.replaceAll('<', ' ').replace(/[^ \t\n"]+/gu, (word) => {
    if (word.length <= maxPieceLength) return word;
    const characters = [...word];
    const pieces: string[] = [];
    for (let from = 0; from < characters.length; from += maxPieceLength) {
      const piece = characters.slice(from, from + maxPieceLength).join('');
      pieces.push(from === 0 ? piece : piece.replace(/^-+/, ''));
    }
    return pieces.join(' ');
  });
}

/**
 * Reads a search as web searches are written ("a phrase", -not, or), in which the last word may still be being typed:
 * it counts as the beginning of one, unless it stands in quotes or behind a minus. Understands any text somehow.
 */
export function readSearch(text: string): SearchQuery {
  const [, head = '', word = ''] = /^(|.*\s)([^\s"-][^\s"]*)$/s.exec(text) ?? [];
  if (word === '' || isInQuotes(head)) return { alternatives: text, words: '', beginning: '' };
  // PostgreSQL's websearch_to_tsquery binds `or` less than the blank between two words, and so must this.
  const place = lastOr(head);
  return place === null
    ? { alternatives: '', words: head, beginning: word }
    : { alternatives: head.slice(0, place.from), words: head.slice(place.to), beginning: word };
}

/** A word for to_tsquery, which takes whatever stands in single quotes for text. */
export function quoteBeginning(word: string): string {
  return word === '' ? '' : `'${word.replaceAll('\\', '\\\\').replaceAll("'", "''")}':*`;
}

function isInQuotes(text: string): boolean {
  return text.split('"').length % 2 === 0;
}

/** Where the last `or` stands that parts two things, and not two words of a phrase. */
function lastOr(text: string): { from: number; to: number } | null {
  const places = [...text.matchAll(/(?<=\S\s+)or(?=\s)/gi)]
    .map(({ index }) => ({ from: index, to: index + 2 }))
    .filter(({ from }) => !isInQuotes(text.slice(0, from)));
  return places.at(-1) ?? null;
}
