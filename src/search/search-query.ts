import { normalizeText } from '../core/normal-text.ts';
import { listPieces, type Piece } from '../core/word.ts';
import { listReadings, type Word } from './search-text.ts';

/**
 * Words that must occur next to each other. The last word may be the beginning of a longer word, unless `isWhole`.
 */
export type Phrase = { words: readonly Pick<Word, 'text' | 'isRun' | 'original'>[]; isWhole: boolean };

/**
 * One condition of a search: the text must contain at least one of the phrases (or none of them if `isExcluded`). The
 * phrases are different readings of the same words.
 */
export type Term = { phrases: readonly Phrase[]; isExcluded: boolean };

/**
 * A parsed search: a list of alternatives. A text must meet all terms of at least one alternative. A search without
 * words has no alternatives.
 */
export type SearchQuery = readonly (readonly Term[])[];

const quote = /["\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a\u300c\u300d\u300e\u300f\u301d\u301e\u301f]/;
const openingSingle = /['\u2018\u201a\u201b]/;
const closingSingle = /['\u2018\u2019]/;
const minus = /[-\u2010\u2011\u2013\u2212]/;
/** The characters that join the parts of an address, a path, a name or a number. */
const joint = /^[-_./:@+&#'\u2018\u2019\u02bc`\\=?%~$*^\u00b7\u2010\u2011\u05f3\u05f4"]*$/;

/**
 * Parses a search. All words must match, and each word may be the beginning of a longer word. `"a phrase"` and `-word`
 * match whole words; `or` separates alternatives. Accepts any text, because there are no syntax errors.
 */
export function readSearch(text: string): SearchQuery {
  const normalized = normalizeText(text);
  const alternatives: Term[][] = [[]];
  for (const { kind, text: body, isExcluded, isOpen } of splitSearch(normalized)) {
    if (kind === 'or') {
      if (alternatives.at(-1)?.length !== 0) alternatives.push([]);
      continue;
    }
    const terms = kind === 'phrase' ? readPhrase(body, { isExcluded, isOpen }) : readChunk(body, isExcluded);
    alternatives.at(-1)?.push(...terms);
  }
  return alternatives.filter(({ length }) => length > 0);
}

/** Returns the number of words in a search. */
export function countWords(query: SearchQuery): number {
  return query.flat().reduce((count, { phrases }) => count + (phrases[0]?.words.length ?? 0), 0);
}

/** A part of a search. `isOpen` means that the quotation mark at the end of the phrase is missing. */
type Part = { kind: 'or' | 'words' | 'phrase'; text: string; isExcluded: boolean; isOpen: boolean };

function splitSearch(text: string): Part[] {
  const parts: Part[] = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text[at] ?? '')) {
      at += 1;
      continue;
    }
    const isExcluded = minus.test(text[at] ?? '') && /\S/.test(text[at + 1] ?? ' ');
    const from = isExcluded ? at + 1 : at;
    const end = endOfPhrase(text, from);
    if (end !== null) {
      parts.push({ kind: 'phrase', text: text.slice(from + 1, end), isExcluded, isOpen: end === text.length });
      at = end + 1;
      continue;
    }
    const chunk = readUntilBreak(text, from);
    parts.push({ kind: 'words', text: chunk, isExcluded, isOpen: false });
    at = from + Math.max(chunk.length, 1);
  }
  return parts.map((part, index) => (isOr(parts, index) ? { ...part, kind: 'or' } : part));
}

/**
 * Returns the position of the quotation mark that closes the phrase beginning at `from`, or the end of the text if the
 * phrase is not closed. Returns null if no phrase begins there.
 */
function endOfPhrase(text: string, from: number): number | null {
  if (quote.test(text[from] ?? '')) {
    for (let at = from + 1; at < text.length; at += 1) if (isQuote(text, at)) return at;
    return text.length;
  }
  if (!openingSingle.test(text[from] ?? '')) return null;
  for (let at = from + 1; at < text.length; at += 1) {
    const ends = closingSingle.test(text[at] ?? '') && /[^\s]/.test(text[at - 1] ?? '') && !isWordAt(text, at + 1);
    if (ends) return at;
  }
  return null;
}

/**
 * Whether the character is a quotation mark that can begin or end a phrase. A quotation mark in a Hebrew abbreviation
 * cannot.
 */
function isQuote(text: string, at: number): boolean {
  return quote.test(text[at] ?? '') && !(isHebrewAt(text, at - 1) && isHebrewAt(text, at + 1));
}

function isHebrewAt(text: string, at: number): boolean {
  return /\p{sc=Hebrew}/u.test(text[at] ?? '');
}

function isWordAt(text: string, at: number): boolean {
  return /[\p{L}\p{N}]/u.test(String.fromCodePoint(text.codePointAt(at) ?? 0));
}

function readUntilBreak(text: string, from: number): string {
  let at = from;
  while (at < text.length && !/\s/.test(text[at] ?? '') && !isQuote(text, at)) at += 1;
  return text.slice(from, at);
}

/** Whether the part separates alternatives. At the beginning or the end of a search, `or` is an ordinary word. */
function isOr(parts: readonly Part[], index: number): boolean {
  const { kind, text, isExcluded } = parts[index] as Part;
  return kind === 'words' && !isExcluded && /^or$/i.test(text) && index > 0 && index < parts.length - 1;
}

function readPhrase(text: string, { isExcluded, isOpen }: Pick<Part, 'isExcluded' | 'isOpen'>): Term[] {
  const words = listPieces(text);
  return words.length === 0 ? [] : [{ phrases: [{ words, isWhole: isExcluded || !isOpen }], isExcluded }];
}

/**
 * Parses words that have no space between them. Words that a joint connects form one phrase, and each other word is a
 * separate phrase.
 */
function readChunk(text: string, isExcluded: boolean): Term[] {
  const groups: Piece[][] = [];
  for (const piece of listPieces(text)) {
    const last = groups.at(-1)?.at(-1);
    if (last !== undefined && isJoined(text, last, piece)) groups.at(-1)?.push(piece);
    else groups.push([piece]);
  }
  return groups.map((group) => ({ phrases: readPhrases(text, group, isExcluded), isExcluded }));
}

function isJoined(text: string, one: Piece, next: Piece): boolean {
  const between = text.slice(one.end, next.start);
  return (
    joint.test(between) || (between === ',' && /\d/.test(text[one.end - 1] ?? '') && /\d/.test(text[next.start] ?? ''))
  );
}

function readPhrases(text: string, group: readonly Piece[], isWhole: boolean): Phrase[] {
  const others = listReadings(text, group);
  const [first] = group;
  const dotted = others.find(([word]) => word?.start === 0 && word.text.startsWith('.'));
  // Match only words with the dot, because a search for .net should not find every occurrence of net.
  if (group.length === 1 && dotted !== undefined && first?.start === 1) return [{ words: dotted, isWhole }];
  const isWholeReading = (words: readonly Word[]) =>
    words[0]?.start === first?.start && words.at(-1)?.end === group.at(-1)?.end;
  return [group, ...others.filter(isWholeReading)].map((words) => ({ words, isWhole }));
}
