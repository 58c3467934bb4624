import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * A place in a trace, as the header `traceparent` names it: the trace, one of its spans, and whether that span is
 * recorded.
 */
export type TraceParent = { traceId: string; spanId: string; isSampled: boolean };

/** Attributes of a span, under the names in OpenTelemetry’s semantic conventions where they define one. */
export type Attributes = Record<string, string | number | boolean>;

/**
 * What a span records: how a request is served, what another system does for us, what an event causes, or anything
 * else.
 */
export type SpanKind = 'SERVER' | 'CLIENT' | 'CONSUMER' | 'INTERNAL';

/** `startedAt`: when the span began, in ms since 1970; by default now. */
export type SpanOptions = { kind?: SpanKind; startedAt?: number; attributes?: Attributes };

/** A recorded part of a trace. `end` must be called once; `endedAt` is in ms since 1970. */
export interface Span {
  readonly parent: TraceParent;
  child(name: string, options?: SpanOptions): Span;
  end(attributes?: Attributes, endedAt?: number): void;
  /** Marks the span as failed; the message must contain no personal data. */
  fail(message: string): void;
}

/**
 * Starts a span under a parent from another process, or starts a new trace. Returns null if the sampler leaves it out.
 */
export type Tracer = (name: string, options: SpanOptions & { parent: TraceParent | null }) => Span | null;

/** Without tracing, it is never set, and reading it costs a few nanoseconds. */
const currentSpan = new AsyncLocalStorage<Span>();

/** The span that the current code belongs to, if it is recorded. */
export function spanNow(): Span | undefined {
  return currentSpan.getStore();
}

/** Runs `work` in that span, or in none. */
export function withSpan<Result>(span: Span | null | undefined, work: () => Result): Result {
  if (span == null) return spanNow() === undefined ? work() : currentSpan.exit(work);
  return currentSpan.run(span, work);
}

/** Runs `work` in a new span under the current one, if that is recorded. */
export async function inSpan<Result>(
  name: string,
  work: () => Promise<Result>,
  options: SpanOptions = {},
): Promise<Result> {
  const parent = spanNow();
  if (parent === undefined) return work();
  const span = parent.child(name, options);
  try {
    return await currentSpan.run(span, work);
  } catch (error) {
    span.fail(error instanceof Error ? error.name : 'failed');
    throw error;
  } finally {
    span.end();
  }
}

/** Prints a place in a trace as the header `traceparent`. https://www.w3.org/TR/trace-context/ */
export function formatTraceParent({ traceId, spanId, isSampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
}

/** Reads a `traceparent`; null if it is not valid. */
export function parseTraceParent(text: string): TraceParent | null {
  const match = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-|$)/.exec(text);
  const [, traceId = '', spanId = '', flags = ''] = match ?? [];
  if (match === null || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
