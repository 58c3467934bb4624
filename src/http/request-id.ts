import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Where a request comes from in a trace: the trace, the span that it is part of, and whether that one is recorded. */
export type TraceParent = { traceId: string; spanId: string; isSampled: boolean };

/** An id that a proxy or a client may give to a request: no longer than this, and without what could forge a log line. */
const wellFormed = /^[\w.:@/+=-]{1,128}$/;

/**
 * The id of a request: `x-request-id`, if it is well-formed; otherwise the id of its trace, if it has one; otherwise a
 * new one.
 */
export function requestIdOf(headers: IncomingHttpHeaders, traceId: string | null): string {
  const given = headers['x-request-id'];
  if (typeof given === 'string' && wellFormed.test(given)) return given;
  return traceId ?? randomUUID();
}

/** Reads the header `traceparent`; null if there is none that is valid. https://www.w3.org/TR/trace-context/ */
export function readTraceParent({ traceparent }: IncomingHttpHeaders): TraceParent | null {
  if (typeof traceparent !== 'string') return null;
  const match = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-|$)/.exec(traceparent);
  const [, traceId = '', spanId = '', flags = ''] = match ?? [];
  if (match === null || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
