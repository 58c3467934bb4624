import type { IncomingMessage, ServerResponse } from 'node:http';

const allowed = {
  'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
  // A wildcard covers every header except authorization, and older browsers do not support it.
  'access-control-allow-headers': [
    'authorization, parley-act-as, content-type, last-event-id, x-graphql-event-stream-token, cache-control',
    'tus-resumable, x-http-method-override, upload-length, upload-defer-length, upload-metadata, upload-offset, x-requested-with, x-request-id, *',
  ].join(', '),
  'access-control-max-age': '86400',
};

/** The response headers that scripts may read, in addition to those that browsers always expose. */
const exposed = 'parley-cost, ratelimit, ratelimit-policy, retry-after, etag, x-request-id';

/**
 * Allows front ends on other origins: on any origin (`*`), or on those in a comma-separated list. Never allows
 * credentials. Only the authorization header identifies the asker, so a page can use only its own session. Returns true
 * if the request was a preflight request, in which case the function has already responded to it.
 */
export function applyCors(request: IncomingMessage, response: ServerResponse, allowedOrigins: string): boolean {
  const origin = pickOrigin(request.headers.origin, allowedOrigins);
  if (origin !== null) response.setHeader('access-control-allow-origin', origin);
  if (request.headers.origin !== undefined) response.setHeader('access-control-expose-headers', exposed);
  if (allowedOrigins !== '*') response.setHeader('vary', 'origin');
  if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) return false;
  response.writeHead(204, origin === null ? {} : allowed).end();
  return true;
}

/** Returns the value of `access-control-allow-origin` for that origin, or null if the origin is not allowed. */
export function pickOrigin(origin: string | undefined, allowedOrigins: string): string | null {
  if (allowedOrigins === '*') return '*';
  const isListed = allowedOrigins.split(',').some((each) => each.trim() === origin);
  return isListed && origin !== undefined ? origin : null;
}
