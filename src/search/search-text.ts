import { normalizeText, normalizeWithPlaces } from '../core/normal-text.ts';
import { listPieces, type Piece } from '../core/word.ts';

/**
 * A word, or a run of characters in a script that has no spaces between words (e.g. Thai), and its position in the
 * text.
 */
export type Word = Pick<Piece, 'text' | 'isRun' | 'start' | 'end'> & { original?: string };

/**
 * If a word has more parts than this, a search finds each part on its own, but no other sequence that begins inside the
 * word.
 */
const maxCamelParts = 8;

/** A part of a text. */
export type Span = { start: number; end: number };

/**
 * The sequences of words in a text that a search can match. The first sequence contains all words in order. Each of the
 * others is an additional reading of some of the words: `dont` for don't, `fetch rows` for fetchRows, `.net` for .NET.
 */
export type Readings = readonly [words: readonly Word[], ...others: (readonly Word[])[]];

/** Parses a text into words. Positions refer to the normalized form of the text. */
export function readText(text: string): Readings {
  const normalized = normalizeText(text);
  const pieces = listPieces(normalized);
  return [pieces, ...listReadings(normalized, pieces)];
}

/**
 * Like `readText`, but also returns a function that converts a span of the normalized form to a span of the text
 * itself, in UTF-16 units. It takes more time than `readText`.
 */
export function locateText(text: string): { readings: Readings; locate: (span: Span) => Span } {
  const { text: normalized, placeOf } = normalizeWithPlaces(text);
  const pieces = listPieces(normalized);
  const locate = ({ start, end }: Span) => ({ start: placeOf(start), end: endOf(end, normalized.length, placeOf) });
  return { readings: [pieces, ...listReadings(normalized, pieces)], locate };
}

/**
 * Returns the position in the original text that corresponds to `end` in the normalized text. It is after every
 * character that was merged into the last normalized character before `end`.
 */
function endOf(end: number, length: number, placeOf: (position: number) => number): number {
  let next = end;
  while (next < length && placeOf(next) === placeOf(end - 1)) next += 1;
  return placeOf(next);
}

/** Returns the additional readings of a normalized text. */
export function listReadings(text: string, pieces: readonly Piece[]): Word[][] {
  const readings: Word[][] = [];
  for (let index = 0; index < pieces.length; index += 1) {
    const piece = pieces[index] as Piece;
    readings.push(...listCamelReadings(piece));
    if (isAfterDot(text, piece) && (!isAfterWord(text, piece) || !isDotted(text, pieces[index + 1]))) {
      readings.push([{ ...piece, text: `.${piece.text}`, start: piece.start - 1 }]);
    }
    let last = index;
    while (isContracted(text, pieces[last], pieces[last + 1])) last += 1;
    if (last > index) readings.push([joinPieces(pieces.slice(index, last + 1))]);
    index = last;
  }
  return readings;
}

/** Returns the parts of fetchRowsByKey, and the remainders that begin at each inner part: rowsbykey, bykey. */
function listCamelReadings(piece: Piece): Word[][] {
  const { parts, start } = piece;
  if (parts.length === 0) return [];
  const ends = parts.length > maxCamelParts ? [] : parts.slice(1, -1);
  return [
    parts.map(({ text }) => ({ ...piece, text })),
    ...ends.map(({ offset }, index) => {
      const rest = parts.slice(index + 1).map(({ text }) => text);
      return [{ ...piece, text: rest.join(''), start: start + offset }];
    }),
  ];
}

/** Whether there is a single dot directly before the piece, as in .NET and plan.docx. */
function isAfterDot(text: string, { isRun, start }: Piece): boolean {
  return !isRun && text[start - 1] === '.' && text[start - 2] !== '.' && /\p{L}/u.test(text[start] ?? '');
}

/** Whether the dot directly before the piece follows a word. */
function isAfterWord(text: string, { start }: Piece): boolean {
  return /[\p{L}\p{N}]/u.test(text[start - 2] ?? '');
}

function isDotted(text: string, next: Piece | undefined): boolean {
  return next !== undefined && isAfterDot(text, next) && isAfterWord(text, next);
}

/** Whether the two pieces are joined by an apostrophe or by the gershayim of a Hebrew abbreviation. */
function isContracted(text: string, one: Piece | undefined, next: Piece | undefined): boolean {
  if (one === undefined || next === undefined || next.start !== one.end + 1 || one.isRun || next.isRun) return false;
  const sign = text[one.end] ?? '';
  if (/['\u2018\u2019\u02bc\u05f3`]/.test(sign)) return true;
  return /["\u05f4]/.test(sign) && isHebrew(one.text) && isHebrew(next.text);
}

function isHebrew(text: string): boolean {
  return /^\p{sc=Hebrew}+$/u.test(text);
}

/** Joins the pieces of a contraction into one word. */
function joinPieces(pieces: readonly Piece[]): Word {
  const [first, last] = [pieces[0], pieces.at(-1)];
  return {
    text: pieces.map(({ text }) => text).join(''),
    isRun: false,
    start: first?.start ?? 0,
    end: last?.end ?? 0,
  };
}

/**
 * Formats the readings of a text as the index stores them: each word is between two spaces, each run follows a `~`, and
 * each additional reading follows a `|`. Neither of these two characters occurs in a word.
 */
export function printReadings([words, ...others]: Readings): string {
  const distinct = new Set(others.map(printWords));
  return ` ${printWords(words)} ${[...distinct].map((other) => `| ${other} `).join('')}`.replace(/^ {2}/, ' ');
}

/** Matches a text that may have readings other than its plain words. */
const special = /[^\x00-\x7f]|['`+#]|\.[A-Za-z]|[A-Za-z0-9][A-Z]/;
const longWord = /[A-Za-z0-9]{65}/;

/**
 * Formats a text as the index stores it. Most messages contain nothing special, so formatting them takes a tenth of the
 * time that other messages need.
 */
export function printText(text: string): string {
  if (special.test(text) || (text.length > 64 && longWord.test(text))) return printReadings(readText(text));
  return ` ${text} `.toLowerCase().replace(/[^a-z0-9]+/g, ' ');
}

function printWords(words: readonly Word[]): string {
  return words.map(({ text, isRun }) => (isRun ? `~${text}` : text)).join(' ');
}
