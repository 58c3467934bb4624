import { AsyncLocalStorage } from 'node:async_hooks';

/** A span context, as in the header `traceparent`: the trace, one of its spans, and whether that span is recorded. */
export type TraceParent = { traceId: string; spanId: string; isSampled: boolean };

/** The attributes of a span. Their names come from OpenTelemetry’s semantic conventions where these define one. */
export type Attributes = Record<string, string | number | boolean>;

/** What a span records: serving a request, a call to another system, the processing of an event, or anything else. */
export type SpanKind = 'SERVER' | 'CLIENT' | 'CONSUMER' | 'INTERNAL';

/** `startedAt` is when the span began, in ms since 1970; the default is now. */
export type SpanOptions = { kind?: SpanKind; startedAt?: number; attributes?: Attributes };

/** A recorded part of a trace. Call `end` exactly once; `endedAt` is in ms since 1970. */
export interface Span {
  readonly parent: TraceParent;
  child(name: string, options?: SpanOptions): Span;
  end(attributes?: Attributes, endedAt?: number): void;
  /** Marks the span as failed. The message must contain no personal data. */
  fail(message: string): void;
}

/**
 * Starts a span under a parent from another process, or starts a new trace if there is no parent. Returns null if the
 * sampler does not select the trace.
 */
export type Tracer = (name: string, options: SpanOptions & { parent: TraceParent | null }) => Span | null;

/** The current span. Without tracing it is never set, and reading it takes a few nanoseconds. */
const currentSpan = new AsyncLocalStorage<Span>();

/** Returns the span that the current code belongs to, if that span is recorded. */
export function spanNow(): Span | undefined {
  return currentSpan.getStore();
}

/** Runs `work` in the given span, or outside of any span if there is none. */
export function withSpan<Result>(span: Span | null | undefined, work: () => Result): Result {
  if (span == null) return spanNow() === undefined ? work() : currentSpan.exit(work);
  return currentSpan.run(span, work);
}

/** Runs `work` in a new child of the current span, if there is a current span. */
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

/** Formats a span context as the value of the header `traceparent`. https://www.w3.org/TR/trace-context/ */
export function formatTraceParent({ traceId, spanId, isSampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
}

/** Parses the value of a `traceparent` header; returns null if it is not valid. */
export function parseTraceParent(text: string): TraceParent | null {
  const match = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-|$)/.exec(text);
  const [, traceId = '', spanId = '', flags = ''] = match ?? [];
  if (match === null || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
