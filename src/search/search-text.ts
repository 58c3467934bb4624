import { normalizeText, normalizeWithPlaces } from '../core/normal-text.ts';
import { listPieces, type Piece } from '../core/word.ts';

/** A word, or a run of characters of a script without spaces between words (e.g. Thai), and where it is in the text. */
export type Word = Pick<Piece, 'text' | 'isRun' | 'start' | 'end'> & { original?: string };

/**
 * In a word with more parts than this, a search finds each single part, and nothing else that begins inside the word.
 */
const maxCamelParts = 8;

/** A part of a text. */
export type Span = { start: number; end: number };

/**
 * The sequences of words that a search can match in a text. The first has all its words in order. Each of the others is
 * a further reading of some of them: `dont` for don't, `fetch rows` for fetchRows, `.net` for .NET.
 */
export type Readings = readonly [words: readonly Word[], ...others: (readonly Word[])[]];

/** Reads a text; positions refer to its normalized form. */
export function readText(text: string): Readings {
  const normalized = normalizeText(text);
  const pieces = listPieces(normalized);
  return [pieces, ...listReadings(normalized, pieces)];
}

/**
 * Like `readText`, but also returns a function that finds where a part of the normalized form is in the text itself, in
 * UTF-16 units. Costs more.
 */
export function locateText(text: string): { readings: Readings; locate: (span: Span) => Span } {
  const { text: normalized, placeOf } = normalizeWithPlaces(text);
  const pieces = listPieces(normalized);
  const locate = ({ start, end }: Span) => ({ start: placeOf(start), end: endOf(end, normalized.length, placeOf) });
  return { readings: [pieces, ...listReadings(normalized, pieces)], locate };
}

/**
 * The position in the original text that corresponds to `end` in the normalized text: after everything that the last
 * character before `end` absorbed.
 */
function endOf(end: number, length: number, placeOf: (position: number) => number): number {
  let next = end;
  while (next < length && placeOf(next) === placeOf(end - 1)) next += 1;
  return placeOf(next);
}

/** The further readings of a normalized text. */
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

/** The parts of fetchRowsByKey, and the rest from each part on: rowsbykey, bykey. */
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

/** Whether a single dot is directly before the piece, as in .NET and plan.docx. */
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

/** Whether an apostrophe, or the gershayim of a Hebrew abbreviation, holds the two pieces together. */
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
 * What the index stores of a text: its readings, each word between two spaces, each run after a `~`, and each further
 * reading after a `|`. Neither character occurs in a word.
 */
export function printReadings([words, ...others]: Readings): string {
  const distinct = new Set(others.map(printWords));
  return ` ${printWords(words)} ${[...distinct].map((other) => `| ${other} `).join('')}`.replace(/^ {2}/, ' ');
}

/** Matches a text that may have other readings than its plain words. */
const special = /[^\x00-\x7f]|['`+#]|\.[A-Za-z]|[A-Za-z0-9][A-Z]/;
const longWord = /[A-Za-z0-9]{65}/;

/**
 * What the index stores of a text. Most messages take a tenth of the time that the others need, because nothing in them
 * needs a close look.
 */
export function printText(text: string): string {
  if (special.test(text) || (text.length > 64 && longWord.test(text))) return printReadings(readText(text));
  return ` ${text} `.toLowerCase().replace(/[^a-z0-9]+/g, ' ');
}

function printWords(words: readonly Word[]): string {
  return words.map(({ text, isRun }) => (isRun ? `~${text}` : text)).join(' ');
}
