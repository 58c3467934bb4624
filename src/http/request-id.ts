import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { parseTraceParent, type TraceParent } from '../core/trace.ts';

/**
 * An id that a proxy or a client may give to a request: no longer than this, and without anything that could forge a
 * log line.
 */
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

/** Reads the header `traceparent`; null if it is absent or invalid. */
export function readTraceParent({ traceparent }: IncomingHttpHeaders): TraceParent | null {
  return typeof traceparent === 'string' ? parseTraceParent(traceparent) : null;
}
