import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { parseTraceParent, type TraceParent } from '../core/trace.ts';

/**
 * The form of an id that a proxy or a client may give to a request: of limited length, and without characters that
 * could forge a log line.
 */
const wellFormed = /^[\w.:@/+=-]{1,128}$/;

/**
 * Returns the id of a request: `x-request-id` if it is well-formed, otherwise the id of the request's trace if there is
 * one, and otherwise a new id.
 */
export function requestIdOf(headers: IncomingHttpHeaders, traceId: string | null): string {
  const given = headers['x-request-id'];
  if (typeof given === 'string' && wellFormed.test(given)) return given;
  return traceId ?? randomUUID();
}

/** Parses the header `traceparent`; returns null if it is absent or invalid. */
export function readTraceParent({ traceparent }: IncomingHttpHeaders): TraceParent | null {
  return typeof traceparent === 'string' ? parseTraceParent(traceparent) : null;
}
