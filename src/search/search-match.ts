import { printPattern } from './search-condition.ts';
import type { Phrase, SearchQuery, Term } from './search-query.ts';
import type { Readings, Span, Word } from './search-text.ts';

/** Returns whether a text matches the search, with exactly the same result as the index. */
export function matches(readings: Readings, query: SearchQuery): boolean {
  return query.some((terms) => terms.every((term) => contains(readings, term) !== term.isExcluded));
}

function contains(readings: Readings, { phrases }: Term): boolean {
  return phrases.some((phrase) => readings.some((words) => words.some((_, at) => isPhraseAt(words, at, phrase))));
}

/**
 * Returns the parts of a text that match a phrase of the search, in order and without overlaps: the first one, and
 * those that begin at most `reach` UTF-16 units after the first one.
 */
export function listSpans(readings: Readings, query: SearchQuery, reach: number): Span[] {
  const phrases = listPhrases(query);
  const first = readings.reduce((least, words) => Math.min(least, startOfFirst(words, phrases)), Infinity);
  const spans = readings.flatMap((words) => findPhrases(words, phrases, { from: first, to: first + reach }));
  spans.sort((one, other) => one.start - other.start || other.end - one.end);
  const merged: Span[] = [];
  for (const { start, end } of spans) {
    const last = merged.at(-1);
    if (last !== undefined && start < last.end) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged;
}

/** Returns the phrases for which the search looks, without duplicates. */
function listPhrases(query: SearchQuery): Phrase[] {
  const phrases = query.flat().flatMap(({ phrases: all, isExcluded }) => (isExcluded ? [] : all));
  return [...new Map(phrases.map((phrase) => [printPattern(phrase), phrase])).values()];
}

function startOfFirst(words: readonly Word[], phrases: readonly Phrase[]): number {
  for (let at = 0; at < words.length; at += 1) {
    const spans = findAt(words, at, { phrases, to: 0 });
    if (spans !== null) return Math.min(...spans.map(({ start }) => start));
  }
  return Infinity;
}

function findPhrases(words: readonly Word[], phrases: readonly Phrase[], { from, to }: { from: number; to: number }) {
  const spans: Span[] = [];
  for (let at = 0; at < words.length && (words[at]?.start ?? 0) <= to; at += 1) {
    if ((words[at]?.end ?? 0) > from) spans.push(...(findAt(words, at, { phrases, to }) ?? []));
  }
  return spans;
}

/**
 * Returns the spans of the phrases that begin with the word at index `at`, or null if there are none, as is the case
 * for most words.
 */
function findAt(
  words: readonly Word[],
  at: number,
  { phrases, to }: { phrases: readonly Phrase[]; to: number },
): Span[] | null {
  let spans: Span[] | null = null;
  for (const phrase of phrases)
    if (isPhraseAt(words, at, phrase)) spans = [...(spans ?? []), ...findPhrase(words, at, { phrase, to })];
  return spans;
}

/**
 * Returns the spans of a phrase that begins with the word at index `at`. A run may contain several such spans, which
 * are listed up to the position `to`.
 */
function findPhrase(words: readonly Word[], at: number, { phrase, to }: { phrase: Phrase; to: number }): Span[] {
  const word = words[at];
  if (word === undefined) return [];
  const [want] = phrase.words;
  if (want?.isRun === true && phrase.words.length === 1) return findInRun(word, want.text, to);
  const last = words[at + phrase.words.length - 1] ?? word;
  const wanted = phrase.words.at(-1)?.text ?? '';
  const start = want?.isRun === true ? word.end - want.text.length : word.start;
  return [{ start, end: last.isRun ? last.start + wanted.length : last.end }];
}

function findInRun({ text, start }: Word, part: string, to: number): Span[] {
  const spans: Span[] = [];
  let at = text.indexOf(part);
  do {
    spans.push({ start: start + at, end: start + at + part.length });
    at = text.indexOf(part, at + part.length);
  } while (at >= 0 && start + at <= to);
  return spans;
}

function isPhraseAt(words: readonly Word[], at: number, { words: wanted, isWhole }: Phrase): boolean {
  // This check rules out nearly every word of a text.
  const [first] = wanted;
  if (first?.isRun === false && words[at]?.text.startsWith(first.text) !== true) return false;
  return wanted.every((want, index) => {
    const word = words[at + index];
    if (word === undefined || word.isRun !== want.isRun) return false;
    const isFirst = index === 0;
    const isLast = index === wanted.length - 1;
    if (!want.isRun) return isLast && !isWhole ? word.text.startsWith(want.text) : word.text === want.text;
    if (isFirst && isLast) return word.text.includes(want.text);
    if (isFirst) return word.text.endsWith(want.text);
    return isLast ? word.text.startsWith(want.text) : word.text === want.text;
  });
}
