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
import { limitDuration } from './body-deadline.ts';
import { findHandler, findRoute, isRest, originForm, type Handlers, type Route } from './dispatch.ts';
import { Drain } from './drain.ts';
import { ConnectionDoor, type ConnectionLimits } from './connection-door.ts';
import { applyCors } from './cors.ts';
import { readTraceParent, requestIdOf } from './request-id.ts';
import { lingerMs } from './refusal.ts';
import { problem, sendProblem } from './rest/problem.ts';
import { sendJson } from './respond.ts';
import { headerLimits, refuseUnreadable } from './unreadable.ts';
import { UnreadAnswers, unreadLimits, type UnreadLimits } from './unread.ts';

/** The options of the HTTP server. */
export type HttpOptions = Handlers & {
  /** `*`, or a comma-separated list of the origins of the front ends. */
  corsOrigin: string;
  /**
   * Called when the server has stopped accepting connections. It must end streams and long uploads, because they would
   * not finish in time.
   */
  endStreams: () => void;
  connections: ConnectionLimits;
  /**
   * How long an idle connection is kept open, in ms. This must be longer than the load balancers in front of the server
   * keep idle connections open.
   */
  keepAliveMs: number;
  /**
   * How long the server continues to accept requests after `close` is called, in ms; by default, it stops immediately.
   */
  stopDelayMs?: number | null;
  /** Returns the network address that a request comes from, behind the trusted proxies. */
  addressOf: (request: IncomingMessage) => string;
  /** How much data clients may leave unread; the default is `unreadLimits`. */
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
 * A listening server. After `close` is called, the server continues as before for `stopDelayMs` and then stops
 * listening. The promise resolves when the last request has been answered or cut off (drain.ts).
 */
export type HttpServer = { port: number; close: () => Promise<void> };

// Uploads may take a long time; body-deadline.ts limits all other requests.
const limits = { ...headerLimits, requestTimeout: 0 };

/**
 * Listens on `host` and `port`; if `port` is 0, the system chooses a free port. Rejects when the address is not
 * available.
 */
export async function openHttpServer(
  address: { host: string; port: number },
  options: HttpOptions,
): Promise<HttpServer> {
  const answers = new UnreadAnswers(options.unread ?? unreadLimits, options);
  const access = options.accessLog === true ? new AccessLog(options.log, options.addressOf) : null;
  const server = createServer({ ...limits, keepAliveTimeout: options.keepAliveMs }, (request, response) => {
    // The connection is already closing, for example because this request was refused with 408 before it was complete.
    // The request can no longer be answered, so it must not have an effect either.
    if (request.socket.writableEnded) return;
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
  server.on('connect', (_, socket) => refuseTunnel(socket, { isBusy: drain.isBusy(socket) }));
  server.on('clientError', (error, socket) => {
    refuseUnreadable(error, socket, {
      keepAliveMs: options.keepAliveMs,
      isUnused: () => drain.isUnused(socket),
      isAnswering: () => drain.isAnswering(socket),
    });
  });
  server.listen(address.port, address.host);
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('The server has no port.');
  return {
    port: bound.port,
    close: () => drain.close({ delayMs: options.stopDelayMs ?? 0, endStreams: options.endStreams }),
  };
}

/** Creates the scope of a request and, if the request is traced, its span. */
function openScope(
  request: IncomingMessage,
  { tracer, pages }: HttpOptions,
): { scope: RequestScope; span: Span | null } {
  const { headers, method = 'GET' } = request;
  const parent = readTraceParent(headers);
  // Load balancers request these paths every few seconds, so the requests are not traced.
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
    // Only an operator can fix a full disk, so the problem is logged here as well.
    if (response.statusCode === 507) options.log.error(diskIsFull);
  } catch (error) {
    // The client disconnected, so the server is not at fault, and there is no one to respond to.
    if (error === request.errored || hasHungUp(response, error)) return;
    options.log.error({ err: error }, 'a request failed');
    if (response.headersSent) response.destroy();
    else if (isRest(request)) await sendProblem(problem('INTERNAL', 'Internal server error.'), request, response);
    else sendJson(response, 500, internalError);
  } finally {
    // The span ends here and not when the response closes, because a stream stays open for hours.
    if (response.statusCode >= 500) span?.fail(`status ${response.statusCode}`);
    span?.end({ 'http.response.status_code': response.statusCode });
  }
}

/**
 * Reports a request that was refused because it was too large or because there were too many requests, unless the
 * refusal has already been logged.
 */
function noteRefusal(route: Route, { statusCode: status }: ServerResponse, { scope, report }: Answering): void {
  if (scope.isRefusalLogged || (status !== 413 && status !== 429)) return;
  report?.('info', refusedByLimit, { route, status });
}

/** Counts a response. The status `aborted` means that the connection was closed before the response began. */
function countAnswer(route: Route, response: ServerResponse, metrics: Metrics): void {
  const status = response.headersSent ? `${Math.floor(response.statusCode / 100)}xx` : 'aborted';
  metrics.count('httpRequests', { route, status });
}

/** The codes of errors that occur when the server writes to a connection that the client has closed. */
const hangUpCodes = new Set<unknown>(['ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED', 'ECONNRESET', 'EPIPE']);

function hasHungUp(response: ServerResponse, error: unknown): boolean {
  return (
    response.destroyed &&
    !response.writableFinished &&
    error instanceof Error &&
    hangUpCodes.has(Reflect.get(error, 'code'))
  );
}

const internalError = { errors: [{ message: 'Internal server error.', extensions: { code: 'INTERNAL' } }] };

/**
 * Refuses CONNECT. Node provides no response object for it, and would close the connection without an answer. If an
 * earlier request on the connection has not been answered yet, the refusal would be mistaken for that answer, so the
 * connection is closed.
 */
function refuseTunnel(socket: Duplex, { isBusy }: { isBusy: boolean }): void {
  socket.on('error', () => undefined);
  if (isBusy) {
    socket.destroy();
    return;
  }
  const refusal = 'HTTP/1.1 405 Method Not Allowed\r\nallow: GET, HEAD, POST\r\ncontent-length: 0\r\nconnection: close';
  socket.end(`${refusal}\r\n\r\n`, () => socket.destroy());
  setTimeout(() => void socket.destroy(), lingerMs).unref();
}
