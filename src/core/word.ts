import { foldWord } from './fold.ts';

/**
 * A piece of a text: a word, an emoji, or a run of characters of a script without spaces between words (e.g. Thai).
 * `start` and `end` are positions in the normalized text.
 */
export type Piece = {
  /** The folded text. */
  text: string;
  /** The text before folding. */
  original: string;
  isRun: boolean;
  /** The folded parts of a camelCase word, and the offset of each part in the word; empty for other words. */
  parts: readonly { text: string; offset: number }[];
  start: number;
  end: number;
};

/**
 * The maximum length of a piece, in UTF-16 units. Longer words are cut into pieces of this length, both in texts and in
 * search queries.
 */
const maxWordLength = 64;

/** Letters, digits and marks of scripts that do not separate words with spaces. */
const runCharacter = String.raw`(?:(?=[\p{L}\p{M}\p{N}])[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}\u30fc]|[\u3099\u309a])`;
const wordCharacter = String.raw`(?:(?!${runCharacter}|\p{sc=Hang})[\p{L}\p{N}\p{M}])`;
// Flags, keycaps, and all other emoji.
const emoji = String.raw`\p{RI}\p{RI}|[0-9#*]\u20e3|\p{Extended_Pictographic}`;
const pattern = new RegExp(
  [
    `${runCharacter}+`,
    String.raw`\p{sc=Hang}+`,
    emoji,
    // In names such as C++ and C#, the signs are part of the word.
    String.raw`(?!\p{M})${wordCharacter}+(?:\+\+(?!\p{L})|\+(?![+\p{L}\p{N}])|(?<=(?<![\p{L}\p{N}])\p{L}{1,2})#(?![\p{L}\p{N}])|(?<=(?<![\p{L}\p{N}])\p{L})#(?=\p{N}))?`,
  ].join('|'),
  'gu',
);
const run = new RegExp(`^${runCharacter}`, 'u');
const asciiPattern =
  /[A-Za-z0-9]+(?:\+\+(?![A-Za-z])|\+(?![+A-Za-z0-9])|(?<=(?<![A-Za-z0-9])[A-Za-z]{1,2})#(?![A-Za-z0-9])|(?<=(?<![A-Za-z0-9])[A-Za-z])#(?=[0-9]))?/g;
const ascii = /^[\x00-\x7f]*$/;
/** A boundary between words in names such as fetchRowsByKey and HTTPServer. */
const camelBorder = /(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu}|\p{N})(?=\p{Lu}\p{Ll})/u;

/**
 * The properties that all occurrences of the same piece share. `cuts` contains the text of the piece, divided into
 * parts if it is too long. It is empty for a run without letters and digits.
 */
type Kind = Pick<Piece, 'isRun' | 'parts'> & { cuts: readonly string[] };

/**
 * Returns the pieces of a normalized text in order, in time proportional to its length. All other characters separate
 * pieces.
 */
export function listPieces(normalized: string): Piece[] {
  const pieces: Piece[] = [];
  const kinds = new Map<string, Kind>();
  for (const { 0: original, index: start } of normalized.matchAll(ascii.test(normalized) ? asciiPattern : pattern)) {
    let kind = kinds.get(original);
    if (kind === undefined) kinds.set(original, (kind = readKind(original)));
    const { cuts, isRun, parts } = kind;
    const end = start + original.length;
    for (const text of cuts) pieces.push({ text, original, isRun, parts, start, end });
  }
  return pieces;
}

function readKind(original: string): Kind {
  const isRun = run.test(original);
  if (isRun && !/[\p{L}\p{N}]/u.test(original)) return { cuts: [], isRun, parts: [] };
  const text = foldWord(original);
  const cuts = isRun || text.length <= maxWordLength ? [text] : cutWord(text);
  return { cuts, isRun, parts: isRun || cuts.length > 1 ? [] : listParts(original) };
}

function listParts(original: string): Piece['parts'] {
  if (!/.\p{Lu}/u.test(original)) return [];
  const parts = original.split(camelBorder);
  if (parts.length < 2) return [];
  let offset = 0;
  return parts.map((part) => {
    const place = offset;
    offset += part.length;
    return { text: foldWord(part), offset: place };
  });
}

function cutWord(text: string): string[] {
  const pieces: string[] = [];
  let piece = '';
  for (const character of text) {
    if (piece.length + character.length > maxWordLength) {
      pieces.push(piece);
      piece = '';
    }
    piece += character;
  }
  pieces.push(piece);
  return pieces;
}
