import { foldWord } from './fold.ts';

/**
 * A piece of a text: a word, or a run of a script that is written without spaces between words. `start` and `end` are
 * positions in the normalized text.
 */
export type Piece = {
  /** Folded. */
  text: string;
  /** As it was before folding. */
  original: string;
  isRun: boolean;
  /** The parts of a camelCase word, folded; empty for other words. */
  parts: readonly string[];
  start: number;
  end: number;
};

/** Longer words are cut into pieces of this many UTF-16 units, in texts and in searches. */
const maxWordLength = 64;

/** Letters, digits and marks of scripts without spaces between words. */
const runCharacter = String.raw`(?:(?=[\p{L}\p{M}\p{N}])[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}\u30fc]|[\u3099\u309a])`;
const wordCharacter = String.raw`(?:(?!${runCharacter}|\p{sc=Hang})[\p{L}\p{N}\p{M}])`;
const pattern = new RegExp(
  [
    `(?<run>${runCharacter}+)`,
    String.raw`(?<hangul>\p{sc=Hang}+)`,
    // Flags, keycaps, and every other picture.
    String.raw`(?<emoji>\p{RI}\p{RI}|[0-9#*]\u20e3|\p{Extended_Pictographic})`,
    // The signs of C++ and C# belong to the name.
    String.raw`(?<word>(?:(?!\p{M})${wordCharacter})${wordCharacter}*(?:\+\+(?!\p{L})|\+(?![+\p{L}\p{N}])|(?<=(?<![\p{L}\p{N}])\p{L}{1,2})#(?![\p{L}\p{N}]))?)`,
  ].join('|'),
  'gu',
);
const asciiPattern =
  /[A-Za-z0-9]+(?:\+\+(?![A-Za-z])|\+(?![+A-Za-z0-9])|(?<=(?<![A-Za-z0-9])[A-Za-z]{1,2})#(?![A-Za-z0-9]))?/g;
const ascii = /^[\x00-\x7f]*$/;
/** Between the parts of fetchRowsByKey and HTTPServer. */
const camelBorder = /(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu}|\p{N})(?=\p{Lu}\p{Ll})/u;

/** The pieces of a normalized text, in order and in time linear in its length. Any other characters separate them. */
export function listPieces(normalized: string): Piece[] {
  const pieces: Piece[] = [];
  const folded = new Map<string, string>();
  for (const match of normalized.matchAll(ascii.test(normalized) ? asciiPattern : pattern)) {
    const { 0: original, index: start, groups } = match;
    const end = start + original.length;
    const isRun = groups?.['run'] !== undefined;
    if (isRun && !/[\p{L}\p{N}]/u.test(original)) continue;
    const text = groups?.['emoji'] ?? folded.get(original) ?? foldWord(original);
    folded.set(original, text);
    const cuts = isRun || text.length <= maxWordLength ? [text] : cutWord(text);
    const parts = isRun || cuts.length > 1 ? [] : listParts(original);
    for (const cut of cuts) pieces.push({ text: cut, original, isRun, parts, start, end });
  }
  return pieces;
}

function listParts(original: string): string[] {
  if (!/.\p{Lu}/u.test(original)) return [];
  const parts = original.split(camelBorder);
  return parts.length < 2 ? [] : parts.map(foldWord);
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
