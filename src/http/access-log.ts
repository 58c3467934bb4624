import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import { describeCaller } from '../core/asker.ts';
import type { RequestScope } from '../core/request-scope.ts';
import { routes } from './rest/table.ts';

/** The words that occur in the paths that the server serves. */
const words = new Set([
  ...['graphql', 'stream', 'graphiql', 'api', 'upload', 'tus', 'files', 'auth', 'logout', 'mcp', 'export', 'import'],
  ...['hooks', 'slack', 'events', 'livez', 'readyz', 'schema.graphql', '.well-known', 'jwks.json', 'openapi.json'],
  'assets',
  ...routes.flatMap(({ path }) => path.split('/').filter((segment) => !segment.startsWith('{'))),
]);

const maxSegments = 10;

/**
 * Returns the path in a form that may be logged and that contains only words that the server knows. Everything else,
 * such as the token of an incoming webhook, the name of a file or an external key, becomes `*`. Anything after the
 * tenth segment is omitted, and so is the query string, which may contain the token of a stream or the signature of a
 * link.
 */
export function loggablePath(url = '/'): string {
  const [path = '/'] = url.split('?', 1);
  const segments = path.split('/', maxSegments + 1);
  return segments.map((segment) => (segment === '' || words.has(segment) ? segment : '*')).join('/');
}

/** Logs a line for each request when its response has ended. Health checks are not logged. */
export class AccessLog {
  readonly #log: Logger;
  readonly #addressOf: (request: IncomingMessage) => string;

  constructor(log: Logger, addressOf: (request: IncomingMessage) => string) {
    this.#log = log;
    this.#addressOf = addressOf;
  }

  /** Call this function when a request arrives. The line is written when the response to the request has closed. */
  follow(request: IncomingMessage, response: ServerResponse, { route, scope }: { route: string; scope: RequestScope }) {
    const { method, url, socket } = request;
    if (isProbe(url)) return;
    const startedAt = performance.now();
    const before = socket.bytesWritten;
    const path = loggablePath(url);
    const address = this.#addressOf(request);
    response.on('close', () => {
      const { caller, operation, requestId } = scope;
      this.#log.info(
        {
          requestId,
          method,
          path,
          route,
          status: response.headersSent ? response.statusCode : null,
          ms: Math.round(performance.now() - startedAt),
          bytes: socket.bytesWritten - before,
          address,
          ...(operation !== null && { operation }),
          ...describeCaller(caller),
        },
        'request',
      );
    });
  }
}

/** Whether the request is a health check by a load balancer, which sends one every few seconds. */
export function isProbe(url: string | undefined): boolean {
  return url === '/livez' || url === '/readyz';
}
