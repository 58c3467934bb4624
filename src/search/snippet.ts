import { listSpans } from './search-match.ts';
import type { SearchQuery } from './search-query.ts';
import { locateText, type Span } from './search-text.ts';

/** A part of a message, and the ranges to highlight in it, in code points with exclusive ends. */
export type Snippet = { text: string; ranges: Span[] };

/** The maximum length of a snippet, and the usual length of the text before the first hit, in UTF-16 units. */
const size = { all: 200, before: 60 };
/** In code points. */
export const maxSnippetLength = size.all + 2;
/** The maximum number of matches that are highlighted. */
export const maxRanges = 20;

/** One character becomes at most this many characters in the normalized form. */
const maxExpansion = 8;

const cutMark = '…';
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Returns the part of a text around its first hit, on one line, or the beginning of the text if there is no hit. */
export function makeSnippet(content: string, query: SearchQuery): Snippet {
  const spans = listHits(content, query);
  const { start, end } = frameOf(content, spans[0]?.start ?? 0);
  const text = content.slice(start, end).replace(/\s/g, ' ');
  const lead = start > 0 ? cutMark : '';
  const toRange = (span: Span): Span => {
    const from = Math.max(span.start, start) - start;
    const to = Math.min(span.end, end) - start;
    const before = lead.length + countCharacters(text.slice(0, from));
    return { start: before, end: before + countCharacters(text.slice(from, to)) };
  };
  return {
    text: lead + text + (end < content.length ? cutMark : ''),
    ranges: spans
      .filter((span) => span.start < end && span.end > start)
      .slice(0, maxRanges)
      .map(toRange),
  };
}

function listHits(content: string, query: SearchQuery): Span[] {
  if (query.length === 0) return [];
  const { readings, locate } = locateText(content);
  return listSpans(readings, query, size.all * maxExpansion).map(locate);
}

/**
 * Returns a span that begins and ends between words if possible, and hardly ever inside what a reader sees as one
 * character.
 */
function frameOf(content: string, hit: number): Span {
  if (content.length <= size.all) return { start: 0, end: content.length };
  const wanted = Math.max(0, Math.min(hit - size.before, content.length - size.all));
  const space = content.slice(wanted, hit).search(/\s/);
  const start = wanted === 0 ? 0 : space >= 0 ? wanted + space + 1 : borderBefore(content, wanted);
  if (start + size.all >= content.length) return { start, end: content.length };
  const last = content.slice(start, start + size.all + 1).search(/\s\S*$/);
  const end = last > size.all / 2 ? start + last : borderBefore(content, start + size.all);
  return { start, end };
}

function borderBefore(content: string, position: number): number {
  // Something that looks like one character is rarely longer than this. If it is longer, it is cut.
  const from = Math.max(0, position - 64);
  const segment = graphemes.segment(content.slice(from, position + 64)).containing(position - from);
  return segment === undefined || segment.index === 0 ? position : from + segment.index;
}

function countCharacters(text: string): number {
  return [...text].length;
}
