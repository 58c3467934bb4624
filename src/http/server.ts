import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { diskIsFull, refusedByLimit } from '../api/fault.ts';
import { noMetrics, type Metrics } from '../core/metric.ts';
import type { Report } from '../core/report.ts';
import { requestScope, type RequestScope } from '../core/request-scope.ts';
import { withSpan, type Span, type TraceParent, type Tracer } from '../core/trace.ts';
import { AccessLog, isProbe } from './access-log.ts';
import { acceptsPage, acceptsStream } from './accept.ts';
import { limitDuration } from './body-deadline.ts';
import { Drain } from './drain.ts';
import { ConnectionDoor, type ConnectionLimits } from './connection-door.ts';
import { applyCors } from './cors.ts';
import { isForm } from './graphql.ts';
import { readTraceParent, requestIdOf } from './request-id.ts';
import { problem, sendProblem } from './rest/problem.ts';
import { type Handler, sendJson } from './respond.ts';
import { UnreadAnswers, unreadLimits, type UnreadLimits } from './unread.ts';

/** What the HTTP server needs. */
export type HttpOptions = {
  /** Serves queries and mutations; absent where this node does not have that role. */
  graphql?: Handler;
  /** Serves the page for a browser that opens /graphql. */
  graphiql?: Handler;
  /** Serves the graphql-sse protocol; absent where this node does not have that role. */
  streams?: Handler;
  /** Serves `/api/upload`. */
  upload?: Handler;
  /** Serves the tus protocol: `/api/upload/tus` and the paths below it. */
  tus?: Handler;
  /** Serves the paths below `/files/`. */
  download?: Handler;
  /** Serves `/auth/logout`. */
  logout?: Handler;
  /** Serves `/api/export`. */
  personalExport?: Handler;
  /** Serves the Model Context Protocol at `/mcp`. */
  mcp?: Handler;
  /** Serves the incoming webhooks, below `/api/hooks/`. */
  hooks?: Handler;
  /** Serves `/api/events`. */
  events?: Handler;
  /** Serves the rest of `/api/`. */
  rest?: Handler;
  /** Serves `/api/import`. */
  import?: Handler;
  /** All other pages: each by its exact path, for GET and HEAD. */
  pages: Record<string, Handler>;
  /** `*`, or the origins of the front ends, separated by commas. */
  corsOrigin: string;
  /**
   * Called when the server has stopped accepting connections: ends streams and long uploads, which would not finish in
   * time.
   */
  endStreams: () => void;
  connections: ConnectionLimits;
  /** How long an idle connection is kept: longer than the load balancers in front keep theirs. */
  keepAliveMs: number;
  /** How long requests are still accepted after `close` is called; by default not at all. */
  stopDelayMs?: number | null;
  /** The network address that a request comes from, behind the trusted proxies. */
  addressOf: (request: IncomingMessage) => string;
  /** What clients may leave unread; `unreadLimits` by default. */
  unread?: UnreadLimits | undefined;
  metrics?: Metrics;
  report?: Report;
  /** Traces requests; null if tracing is off. */
  tracer?: Tracer | null;
  /** Whether each request is logged. */
  accessLog?: boolean;
  log: Logger;
};

/**
 * A listening server. `close` continues as before for `stopDelayMs`, then stops listening, and resolves when the last
 * request has been answered or cut off (drain.ts).
 */
export type HttpServer = { port: number; close: () => Promise<void> };

const limits = {
  headersTimeout: 10_000,
  // How often Node checks for late headers; with its default, 10 s could become 40 s.
  connectionsCheckingInterval: 2_000,
  // Uploads may take long; body-deadline.ts limits all other requests.
  requestTimeout: 0,
  maxHeaderSize: 16 * 1024,
};

/** Listens on `host` and `port` (0: any free port). Rejects when the address is not available. */
export async function openHttpServer(
  address: { host: string; port: number },
  options: HttpOptions,
): Promise<HttpServer> {
  const answers = new UnreadAnswers(options.unread ?? unreadLimits, options);
  const access = options.accessLog === true ? new AccessLog(options.log, options.addressOf) : null;
  const server = createServer({ ...limits, keepAliveTimeout: options.keepAliveMs }, (request, response) => {
    drain.watchRequest(request, response);
    answers.limit(request, response);
    const { scope, span } = openScope(request, options);
    const serve = () => answer(request, response, { ...options, scope, access, span });
    void requestScope.run(scope, () => withSpan(span, serve));
  });
  const drain = new Drain(server);
  const door = new ConnectionDoor(options.connections, options.log);
  options.metrics?.watch('httpConnections', () => door.openCount);
  server.on('connection', (socket) => {
    if (door.admit(socket)) drain.watchConnection(socket);
  });
  server.on('connect', refuseTunnel);
  server.listen(address.port, address.host);
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('The server has no port.');
  return {
    port: bound.port,
    close: () => drain.close({ delayMs: options.stopDelayMs ?? 0, endStreams: options.endStreams }),
  };
}

/** What is known about a request while it is being processed, and its span if it is traced. */
function openScope(
  request: IncomingMessage,
  { tracer, pages }: HttpOptions,
): { scope: RequestScope; span: Span | null } {
  const { headers, method = 'GET' } = request;
  const parent = readTraceParent(headers);
  // Load balancers ask every few seconds.
  const isTraced = tracer != null && !isProbe(request.url);
  const span = isTraced ? startSpan(tracer, { method, parent, route: findRoute(request, pages) }) : null;
  const traceId = parent?.traceId ?? span?.parent.traceId ?? null;
  const requestId = requestIdOf(headers, parent?.traceId ?? null);
  return { scope: { requestId, traceId, caller: null, operation: null, isRefusalLogged: false }, span };
}

function startSpan(
  tracer: Tracer,
  { method, parent, route }: { method: string; parent: TraceParent | null; route: Route },
): Span | null {
  const attributes = { 'http.request.method': method, 'http.route': route };
  return tracer(`${method} ${route}`, { parent, kind: 'SERVER', attributes });
}

type Answering = HttpOptions & { scope: RequestScope; access: AccessLog | null; span: Span | null };

async function answer(request: IncomingMessage, response: ServerResponse, options: Answering): Promise<void> {
  const { scope, access, span } = options;
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('x-request-id', scope.requestId);
  limitDuration(request, response);
  if (applyCors(request, response, options.corsOrigin)) return;
  request.url = originForm(request.url);
  const route = findRoute(request, options.pages);
  response.on('close', () => {
    countAnswer(route, response, options.metrics ?? noMetrics);
    noteRefusal(route, response, options);
  });
  access?.follow(request, response, { route, scope });
  try {
    await findHandler(route, request, options)(request, response);
    // Only an operator can fix a full disk, so it is logged here as well.
    if (response.statusCode === 507) options.log.error(diskIsFull);
  } catch (error) {
    // The client disconnected: the server is not at fault, and there is no one to answer.
    if (error === request.errored || hasHungUp(response, error)) return;
    options.log.error({ err: error }, 'a request failed');
    if (response.headersSent) response.destroy();
    else if (isRest(request)) await sendProblem(problem('INTERNAL', 'Internal server error.'), request, response);
    else sendJson(response, 500, internalError);
  } finally {
    // Not when the response closes: a stream is open for hours.
    if (response.statusCode >= 500) span?.fail(`status ${response.statusCode}`);
    span?.end({ 'http.response.status_code': response.statusCode });
  }
}

/** Reports a request that was refused for its size or number, unless the log already says so. */
function noteRefusal(route: Route, { statusCode: status }: ServerResponse, { scope, report }: Answering): void {
  if (scope.isRefusalLogged || (status !== 413 && status !== 429)) return;
  report?.('info', refusedByLimit, { route, status });
}

/** `aborted`: the connection closed before the answer was complete, as a stream's does when its client leaves. */
function countAnswer(route: Route, response: ServerResponse, metrics: Metrics): void {
  const status = response.headersSent ? `${Math.floor(response.statusCode / 100)}xx` : 'aborted';
  metrics.count('httpRequests', { route, status });
}

/** The error codes of writing to a connection that the other side has closed. */
const hangUpCodes = new Set<unknown>(['ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED', 'ECONNRESET', 'EPIPE']);

function hasHungUp(response: ServerResponse, error: unknown): boolean {
  return (
    response.destroyed &&
    !response.writableFinished &&
    error instanceof Error &&
    hangUpCodes.has(Reflect.get(error, 'code'))
  );
}

/** Removes the origin from a target in absolute form (RFC 9112, 3.2.2), which proxies send. */
function originForm(target = '/'): string {
  const origin = /^https?:\/\/[^/?#]*/i.exec(target)?.[0];
  if (origin === undefined) return target;
  const rest = target.slice(origin.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

function pathOf(url = '/'): string {
  return url.split('?', 1)[0] ?? '/';
}

const internalError = { errors: [{ message: 'Internal server error.', extensions: { code: 'INTERNAL' } }] };

/** What a request is for, as metrics and the access log name it: its handler, a page, or nothing. */
type Route =
  | 'graphql'
  | 'graphiql'
  | 'streams'
  | 'events'
  | 'rest'
  | 'mcp'
  | 'hooks'
  | 'upload'
  | 'tus'
  | 'download'
  | 'personalExport'
  | 'import'
  | 'logout'
  | 'page'
  | 'none';

function findRoute(request: IncomingMessage, pages: HttpOptions['pages']): Route {
  const path = pathOf(request.url);
  if (path === '/graphql') return findGraphqlRoute(request);
  if (path === '/graphql/stream') return 'streams';
  if (path === '/api/upload') return 'upload';
  if (/^\/api\/upload\/tus(\/[^/]*)?$/.test(path)) return 'tus';
  if (/^\/files\/[^/]+\/[^/]+$/.test(path)) return 'download';
  if (path === '/auth/logout') return 'logout';
  if (path === '/mcp') return 'mcp';
  if (path === '/api/export') return 'personalExport';
  if (path === '/api/import') return 'import';
  if (/^\/api\/hooks\/[^/]+(\/slack)?$/.test(path)) return 'hooks';
  if (path === '/api/events') return 'events';
  if (Object.hasOwn(pages, path)) return 'page';
  return isRest(request) ? 'rest' : 'none';
}

function findHandler(route: Route, request: IncomingMessage, options: HttpOptions): Handler {
  if (route === 'none') return notFound;
  if (route === 'page') return readOnly(request, options.pages[pathOf(request.url)] ?? notFound);
  const handler = options[route] ?? notServed;
  return route === 'download' ? readOnly(request, handler) : handler;
}

function isRest({ url = '/' }: IncomingMessage): boolean {
  return url.startsWith('/api/');
}

function readOnly(request: IncomingMessage, handler: Handler): Handler {
  return isRead(request) ? handler : methodNotAllowed;
}

function findGraphqlRoute(request: IncomingMessage): Route {
  const { accept } = request.headers;
  if (isForm(request)) return 'graphql';
  if (acceptsStream(accept)) return 'streams';
  return isRead(request) && acceptsPage(accept) ? 'graphiql' : 'graphql';
}

/**
 * Refuses CONNECT. Node provides no response object for it, and without this handler closes the connection unanswered.
 */
function refuseTunnel(_: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => undefined);
  const refusal = 'HTTP/1.1 405 Method Not Allowed\r\nallow: GET, HEAD, POST\r\ncontent-length: 0\r\nconnection: close';
  socket.end(`${refusal}\r\n\r\n`, () => socket.destroy());
}

function isRead({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

const notFound: Handler = (_, response) => sendJson(response, 404, { error: 'Not found. The API is at /graphql.' });

const notServed: Handler = (_, response) =>
  sendJson(response, 404, { error: 'This node does not serve that path: its SERVE setting excludes it.' });

const methodNotAllowed: Handler = (_, response) => {
  response.setHeader('allow', 'GET, HEAD');
  sendJson(response, 405, { error: 'Use GET or HEAD.' });
};
