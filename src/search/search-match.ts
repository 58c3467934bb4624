import type { Phrase, SearchQuery, Term } from './search-query.ts';
import type { Readings, Span, Word } from './search-text.ts';

/** Whether a text meets the search; the same as what the index finds. */
export function matches(readings: Readings, query: SearchQuery): boolean {
  return query.some((terms) => terms.every((term) => contains(readings, term) !== term.isExcluded));
}

function contains(readings: Readings, { phrases }: Term): boolean {
  return phrases.some((phrase) => readings.some((words) => words.some((_, at) => isPhraseAt(words, at, phrase))));
}

/** Every place in a text that the search looks for, in order and without overlaps. */
export function listSpans(readings: Readings, query: SearchQuery): Span[] {
  const phrases = query.flat().flatMap(({ phrases: all, isExcluded }) => (isExcluded ? [] : all));
  const spans = phrases.flatMap((phrase) => readings.flatMap((words) => findPhrase(words, phrase)));
  spans.sort((one, other) => one.start - other.start || other.end - one.end);
  const merged: Span[] = [];
  for (const { start, end } of spans) {
    const last = merged.at(-1);
    if (last !== undefined && start < last.end) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged;
}

function findPhrase(words: readonly Word[], phrase: Phrase): Span[] {
  return words.flatMap((word, at) => {
    if (!isPhraseAt(words, at, phrase)) return [];
    const [want] = phrase.words;
    if (want?.isRun === true && phrase.words.length === 1) return findInRun(word, want.text);
    const last = words[at + phrase.words.length - 1] ?? word;
    const wanted = phrase.words.at(-1)?.text ?? '';
    const start = want?.isRun === true ? word.end - want.text.length : word.start;
    return [{ start, end: last.isRun ? last.start + wanted.length : last.end }];
  });
}

function findInRun({ text, start }: Word, part: string): Span[] {
  const spans: Span[] = [];
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) {
    spans.push({ start: start + at, end: start + at + part.length });
  }
  return spans;
}

function isPhraseAt(words: readonly Word[], at: number, { words: wanted, isWhole }: Phrase): boolean {
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
