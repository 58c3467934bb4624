import { rememberByText } from '../core/remember.ts';
import { parseMediaType, splitOutsideQuotes, type MediaType } from './media-type.ts';

/** One entry of an Accept header with its weight, from 0 (refused) to 1. */
type MediaRange = MediaType & { weight: number };

/** The media types of a single result. Clients that name neither of the two types get the first one. */
const jsonTypes = ['application/json', 'application/graphql-response+json'] as const;

type JsonType = (typeof jsonTypes)[number];

/**
 * Whether an Accept header asks for a stream of results: `text/event-stream` at any position in its list (urql sends it
 * in this way), or Apollo's `multipart/mixed;subscriptionSpec=1.0`.
 */
export function acceptsStream(accept: string | undefined): boolean {
  return readRanges(accept).some((range) => streamKind(range) !== null);
}

/**
 * Returns the kind of stream that an Accept header names first, including through wildcards, or null if the header
 * accepts neither kind.
 */
export function chooseStream(accept: string | undefined): 'EVENT_STREAM' | 'MULTIPART' | null {
  if (accept === undefined) return 'EVENT_STREAM';
  for (const range of readRanges(accept)) {
    const kind = streamKind(range);
    if (kind !== null) return kind;
    if (range.type === 'text/*' || range.type === '*/*') return 'EVENT_STREAM';
  }
  return null;
}

/**
 * Returns the JSON media type for a single result if an Accept header names one before any stream; otherwise null. urql
 * names both JSON and a stream for every operation, and fails if a stream ends after urql has closed it.
 */
export function findJsonBeforeStream(accept: string | undefined): JsonType | null {
  const ranges = readRanges(accept);
  const stream = ranges.findIndex((range) => streamKind(range) !== null);
  const before = stream === -1 ? ranges : ranges.slice(0, stream);
  return heaviest(before.filter(isJson));
}

/**
 * Returns the JSON media type that an Accept header prefers, or null if the header accepts none. If both types have the
 * same weight, the earlier one is preferred.
 */
export function chooseJson(accept: string | undefined): JsonType | null {
  return accept === undefined ? jsonTypes[0] : chooseJsonOf(accept);
}

const chooseJsonOf = rememberByText((accept): JsonType | null => {
  if (accept.trim() === '') return jsonTypes[0];
  const all = splitRanges(accept);
  const isRefused = (type: string) => all.some((range) => range.type === type && range.weight === 0);
  const byWildcard = jsonTypes.find((type) => !isRefused(type));
  const candidates = all.flatMap((range): { type: JsonType; weight: number }[] => {
    if (isJson(range)) return [range];
    const isWildcard = range.type === '*/*' || range.type === 'application/*';
    return isWildcard && byWildcard !== undefined ? [{ type: byWildcard, weight: range.weight }] : [];
  });
  return heaviest(candidates.filter(({ weight }) => weight > 0));
});

/** Whether an Accept header is absent or lists one of these ranges. */
export function accepts(accept: string | undefined, ranges: readonly string[]): boolean {
  return accept === undefined || readRanges(accept).some(({ type }) => ranges.includes(type));
}

/**
 * Whether the request comes from a browser that is going to display a page: scripts and other clients accept JSON or
 * anything.
 */
export function acceptsPage(accept: string | undefined): boolean {
  return accept !== undefined && accepts(accept, ['text/html']);
}

/**
 * Returns the first of these content codings that an Accept-Encoding header names and does not refuse; null if there is
 * none.
 */
export function chooseEncoding<Coding extends string>(
  acceptEncoding: string | undefined,
  codings: readonly Coding[],
): Coding | null {
  const accepted = readRanges(acceptEncoding);
  return codings.find((coding) => accepted.some(({ type }) => type === coding)) ?? null;
}

/** Returns the ranges that the header accepts, in the order of the header. */
function readRanges(accept = ''): readonly MediaRange[] {
  return readRangesOf(accept);
}

const readRangesOf = rememberByText((accept): readonly MediaRange[] =>
  splitRanges(accept).filter(({ weight }) => weight > 0),
);

function splitRanges(accept: string): MediaRange[] {
  return splitOutsideQuotes(accept, ',').map((text) => {
    const range = parseMediaType(text);
    return { ...range, weight: readWeight(range.parameters.get('q')) };
  });
}

/** See RFC 9110, section 12.4.2. An invalid weight counts as absent. */
function readWeight(text: string | undefined): number {
  return text !== undefined && /^(0(\.\d*)?|1(\.0*)?)$/.test(text) ? Number(text) : 1;
}

function streamKind({ type, parameters }: MediaRange): 'EVENT_STREAM' | 'MULTIPART' | null {
  if (type === 'text/event-stream') return 'EVENT_STREAM';
  return type === 'multipart/mixed' && parameters.has('subscriptionspec') ? 'MULTIPART' : null;
}

function isJson<Range extends { type: string }>(range: Range): range is Range & { type: JsonType } {
  return jsonTypes.some((type) => type === range.type);
}

function heaviest(ranges: readonly { type: JsonType; weight: number }[]): JsonType | null {
  const weight = ranges.reduce((most, range) => Math.max(most, range.weight), 0);
  return ranges.find((range) => range.weight === weight)?.type ?? null;
}
