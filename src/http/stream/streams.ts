import type { IncomingMessage, ServerResponse } from 'node:http';
import { OperationTypeNode, type GraphQLError, type GraphQLSchema } from 'graphql';
import type { Asker, Caller } from '../../core/asker.ts';
import { Forbidden, IssuerUnavailable, Unauthenticated } from '../../errors.ts';
import { demandAsker, identifyStreamAsker, identifyAsker, isRefusal, type Services } from '../../api/context.ts';
import type { DocumentCache } from '../../api/document.ts';
import { FanOut } from '../../live/fan-out.ts';
import type { Realtime } from '../../live/realtime.ts';
import { acceptsStream, findJsonBeforeStream } from '../accept.ts';
import { executePrepared, isKnown, sendResult } from '../graphql-operation.ts';
import { HttpError } from '../http-error.ts';
import { prepareParams } from '../params.ts';
import { refuseWith } from '../refusal.ts';
import { refuseWithProblem } from '../rest/problem.ts';
import { demandEventsRequested, openEvents } from './events.ts';
import type { StreamTimes } from './open-stream.ts';
import { startOperation, type OperationServices } from './operation.ts';
import { StreamRegistry, type Opening } from './registry.ts';
import { chooseFraming, readStreamParams } from './request.ts';
import { SingleConnections } from './single.ts';
import { DistinctSink } from './stream-sink.ts';
import type { ReplayLimits } from './replay-budget.ts';

const singlePath = '/graphql/stream';
const tokenHeader = 'x-graphql-event-stream-token';

/** The limits for streams; 0 turns a limit off. */
export type StreamLimits = {
  perSession: number;
  perAddress: number;
  operationsPerStream: number;
  /** See `FanOutOptions`. */
  complexityPerPerson: number;
  bufferBytes: number;
  replay: ReplayLimits;
};

/**
 * A heartbeat is sent every 20 to 25 s, because proxies wait for 30 s or more, and TCP keep-alive needs 15 s between
 * heartbeats to detect a dead connection.
 */
const defaultTimes: StreamTimes = {
  sweep: 1_000,
  heartbeat: 20_000,
  stall: 30_000,
  cursorRefresh: 60_000,
  tokenCheck: 5_000,
};

/** The dependencies and settings of `Streams`. */
export type StreamsOptions = {
  schema: GraphQLSchema;
  documents: DocumentCache;
  services: Services;
  realtime: Realtime;
  mask: (error: unknown) => GraphQLError;
  limits: StreamLimits;
  times?: Partial<StreamTimes>;
  /** The number of proxies in front of the server, each of which adds an entry to X-Forwarded-For. */
  trustedProxies: number;
};

/** The sender of a request; `isTokenLive` is as in `Opening`. */
type Identified = { asker: () => Caller | null } & Pick<Opening, 'isTokenLive'>;

/**
 * Serves the graphql-sse protocol: distinct connections on `/graphql` and `/graphql/stream`, and single connections on
 * `/graphql/stream` only. See https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md.
 */
export class Streams {
  readonly #services: Services;
  /** The services that operations on this node need; webhooks use them too. */
  readonly operations: OperationServices;
  readonly #registry: StreamRegistry;
  readonly #single: SingleConnections;

  constructor(options: StreamsOptions) {
    const { schema, services, realtime, limits } = options;
    this.#services = services;
    this.operations = {
      schema,
      services,
      realtime,
      mask: options.mask,
      documents: options.documents,
      fanOut: new FanOut({
        epoch: () => realtime.epoch(),
        report: realtime.report,
        maxComplexityPerPerson: limits.complexityPerPerson,
        metrics: services.metrics,
        traces: realtime.traces,
      }),
      replayLimits: limits.replay,
    };
    this.#registry = new StreamRegistry({
      perSession: limits.perSession,
      perAddress: limits.perAddress,
      maxBufferBytes: limits.bufferBytes,
      trustedProxies: options.trustedProxies,
      times: { ...defaultTimes, ...options.times },
      position: () => realtime.position(),
    });
    this.#single = new SingleConnections({
      server: this.operations,
      registry: this.#registry,
      reservations: realtime.reservations({
        streamsPerSession: limits.perSession,
        operationsPerStream: limits.operationsPerStream,
        bufferBytes: limits.bufferBytes,
      }),
      report: realtime.report,
    });
    const { fanOut } = this.operations;
    services.metrics.watch('streams', () => this.#registry.size);
    services.metrics.watch('streamResults', () => this.#registry.resultCount);
    services.metrics.watch('subscriptions', () => realtime.hub.listenerCount);
    services.metrics.watch('subscriptionGroups', () => fanOut.size);
    services.metrics.watch('events', () => realtime.hub.passedCount);
    realtime.hub.onOutdated = (chatId) => fanOut.forget(chatId);
    realtime.onStreamRing = (tokenHash) => this.#single.ring(tokenHash);
  }

  /** How many streams are open. */
  get size(): number {
    return this.#registry.size;
  }

  /** Answers one request. A refused request gets a JSON body with `errors`. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response);
    } catch (error) {
      if (!(error instanceof HttpError) || response.headersSent) throw error;
      await refuseWith(error, request, response);
    }
  }

  /** Answers one request to `/api/events`. A refused request gets a problem document (RFC 9457). */
  async handleEvents(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      demandEventsRequested(request);
      const { searchParams: query } = new URL(request.url ?? '/', 'http://localhost');
      const identified = await this.#identify(request, query.get('streamToken'));
      const asker = demand(identified.asker);
      const { isTokenLive } = identified;
      const opening = { request, response, query, asker, isTokenLive, lastEventId: readLastEventId(request) };
      await openEvents({ server: this.operations, registry: this.#registry }, opening);
    } catch (error) {
      if (response.headersSent) throw error;
      await refuseWithProblem(error, request, response);
    }
  }

  /** Ends the streams one after another over a short time, without sending `complete`. */
  async drain(): Promise<void> {
    this.#single.drain();
    await this.#registry.drain();
    await this.#single.close();
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const isSinglePath = url.pathname === singlePath;
    const method = request.method ?? 'GET';
    const allowed = isSinglePath ? ['GET', 'POST', 'PUT', 'DELETE'] : ['GET', 'POST'];
    if (!allowed.includes(method)) {
      throw new HttpError(405, `Use ${allowed.join(', ')}.`, { headers: { allow: allowed.join(', ') } });
    }
    const streamToken = isSinglePath && method === 'GET' ? url.searchParams.get('streamToken') : null;
    const { asker, isTokenLive } = await this.#identify(request, streamToken);
    if (method === 'PUT') return this.#single.reserve(request, response, demand(asker));
    const token = isSinglePath ? readToken(request, url) : null;
    if (method === 'DELETE') {
      if (token === null) throw new HttpError(404, 'There is no such stream.', { code: 'NOT_FOUND' });
      return this.#single.cancel(response, { token, asker: demand(asker), url });
    }
    if (token !== null && !acceptsStream(request.headers.accept)) {
      if (streamToken !== null) throw refuseStreamToken();
      return this.#single.add(request, response, { token, asker: demand(asker), url });
    }
    if (token !== null && (await this.#single.find(token, demand(asker))) !== null) {
      return this.#single.open(request, response, { token, asker: demand(asker), isTokenLive });
    }
    return this.#openDistinct(request, response, { asker, url, isTokenLive });
  }

  /** Distinct connections mode: sends one response for one operation. */
  async #openDistinct(
    request: IncomingMessage,
    response: ServerResponse,
    { asker, isTokenLive, url }: Identified & { url: URL },
  ): Promise<void> {
    const framing = chooseFraming(request.headers.accept);
    if (framing === null) throw new HttpError(406, 'A stream needs accept: text/event-stream.');
    const params = await readStreamParams(request, url);
    const preparation = prepareParams(this.operations.documents, params, { isKnown: isKnown(asker) });
    const kind = 'errors' in preparation ? null : preparation.operation.operation;
    if (request.method === 'GET' && kind === OperationTypeNode.MUTATION) {
      throw new HttpError(405, 'Send mutations by POST.', { headers: { allow: 'POST' } });
    }
    if (isTokenLive !== null && kind !== null && kind !== OperationTypeNode.SUBSCRIPTION) throw refuseStreamToken();
    const jsonType = url.pathname === singlePath ? null : findJsonBeforeStream(request.headers.accept);
    if (jsonType !== null && kind !== OperationTypeNode.SUBSCRIPTION) {
      const sender = { asker, from: request, response };
      const result = await executePrepared(this.operations, { preparation, variables: params.variables }, sender);
      sendResult(response, result, jsonType);
      return;
    }
    // The result of a mutation may contain tokens, so it must not be cached.
    if (kind === OperationTypeNode.MUTATION) response.setHeader('cache-control', 'no-store, no-transform');
    const stream = this.#registry.open({
      request,
      response,
      framing,
      // A subscription with an invalid token is refused before the stream opens, so that the client reconnects with a
      // new token.
      asker: kind === OperationTypeNode.SUBSCRIPTION ? refuseBad(asker) : ifGood(asker),
      isTokenLive,
    });
    const operation = await startOperation(
      this.operations,
      {
        params,
        preparation,
        asker,
        userAgent: request.headers['user-agent'] ?? null,
        from: request,
        lastEventId: readLastEventId(request),
        askedAt: null,
      },
      new DistinctSink(stream),
    );
    stream.run('', operation);
  }

  /**
   * Identifies the asker by the `Authorization` header or, because a browser's EventSource cannot send that header, by
   * a token in the URL.
   */
  async #identify(request: IncomingMessage, streamToken: string | null): Promise<Identified> {
    const { accounts } = this.#services;
    if (streamToken !== null) return identifyStreamAsker(accounts, streamToken);
    return { asker: await identifyAsker(accounts, request.headers), isTokenLive: null };
  }
}

function refuseStreamToken(): HttpError {
  return new HttpError(401, 'A stream token is valid for subscriptions only.', { code: 'UNAUTHENTICATED' });
}

/**
 * Returns the caller. Throws HttpError 401 for an invalid token, 403 for a user that the program may not act as, and
 * 503 for a token that cannot be verified now.
 */
function refuseBad(asker: () => Caller | null): Caller | null {
  try {
    return asker();
  } catch (error) {
    if (error instanceof Unauthenticated) throw new HttpError(401, error.message, { code: 'UNAUTHENTICATED' });
    if (error instanceof Forbidden) throw new HttpError(403, error.message, { code: 'FORBIDDEN' });
    if (!(error instanceof IssuerUnavailable)) throw error;
    throw new HttpError(503, error.message, { code: 'INTERNAL', headers: { 'retry-after': '5' } });
  }
}

/** Returns the asker, or null for an invalid token, which the operation itself may refuse. */
function ifGood(asker: () => Caller | null): Caller | null {
  try {
    return asker();
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return null;
  }
}

/**
 * Returns the asker of a request that needs a signed-in user. Throws HttpError 401 if there is no such user, and 403
 * for a server key that names no user.
 */
function demand(asker: () => Caller | null): Asker {
  const known = refuseBad(asker);
  try {
    return demandAsker(() => known);
  } catch (error) {
    if (error instanceof Unauthenticated) throw new HttpError(401, error.message, { code: 'UNAUTHENTICATED' });
    if (error instanceof Forbidden) throw new HttpError(403, error.message, { code: 'FORBIDDEN' });
    throw error;
  }
}

function readToken(request: IncomingMessage, url: URL): string | null {
  const header = request.headers[tokenHeader];
  const token = typeof header === 'string' && header !== '' ? header : url.searchParams.get('token');
  return token === null || token === '' ? null : token;
}

function readLastEventId(request: IncomingMessage): string | null {
  const header = request.headers['last-event-id'];
  return typeof header === 'string' && header !== '' ? header : null;
}
