import type { IncomingMessage, ServerResponse } from 'node:http';
import { OperationTypeNode } from 'graphql';
import type { Asker } from '../../core/asker.ts';
import { hashSecret } from '../../core/secret.ts';
import type { AddRefusal, Reservations } from '../../live/reservation.ts';
import type { Report } from '../../core/report.ts';
import { eventStream } from './framing.ts';
import { SingleStream } from './single-stream.ts';
import type { OperationServices } from './operation.ts';
import type { Opening, StreamRegistry } from './registry.ts';
import { accepts } from '../accept.ts';
import { HttpError } from '../http-error.ts';
import { expandParams, prepareParams, type GraphqlParams } from '../params.ts';
import { readStreamParams } from './request.ts';
import { seal } from './seal.ts';

/** How often to look for waiting operations, in case a notification was lost. */
const pollMs = 2_000;

/** The token of a stream, and the asker whose request carried it. */
type Owner = { token: string; asker: Asker };

/** An owner who opens their stream. */
type Opener = Owner & Pick<Opening, 'isTokenLive'>;

/**
 * Single connection mode of graphql-sse: PUT reserves a stream, GET opens it, POST adds an operation to it, and DELETE
 * cancels an operation. Successive requests may reach different nodes. The nodes share the state of the streams through
 * the database (`Reservations`), and the node that holds an open stream runs the operations that are stored in the
 * database for it. A stream belongs to the session that reserved it, and no other session can see it.
 */
export class SingleConnections {
  readonly #server: OperationServices;
  readonly #registry: StreamRegistry;
  readonly #reservations: Reservations;
  readonly #report: Report;
  readonly #held = new Map<string, SingleStream>();
  readonly #due = new Set<SingleStream>();
  readonly #poller: NodeJS.Timeout;
  #isLooking = false;
  #isDraining = false;

  constructor(options: {
    server: OperationServices;
    registry: StreamRegistry;
    reservations: Reservations;
    report: Report;
  }) {
    this.#server = options.server;
    this.#registry = options.registry;
    this.#reservations = options.reservations;
    this.#report = options.report;
    this.#poller = setInterval(() => this.#lookAt(this.#held.values()), pollMs).unref();
  }

  /** Call this when the operations of the stream with this token hash (in hex) have changed. */
  ring(tokenHash: string): void {
    const held = this.#held.get(tokenHash);
    if (held !== undefined) this.#lookAt([held]);
  }

  /**
   * After this call, streams no longer remove themselves from the database one by one: `close` removes them all at
   * once.
   */
  drain(): void {
    this.#isDraining = true;
    clearInterval(this.#poller);
  }

  async close(): Promise<void> {
    await this.#settle(() => this.#reservations.closeAll());
  }

  /** PUT: answers 201 with the token as plain text. */
  async reserve(request: IncomingMessage, response: ServerResponse, asker: Asker): Promise<void> {
    if (!accepts(request.headers.accept, ['text/plain', 'text/*', '*/*'])) {
      throw new HttpError(406, 'The token is sent as text/plain.');
    }
    const token = await this.#reservations.reserve(asker.sessionId);
    if (token === null) throw tooMany('Too many open streams: MAX_STREAMS_PER_SESSION is reached.');
    response.writeHead(201, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }).end(token);
  }

  /** Returns whether this session has a stream with this token, and whether that stream is open. */
  async find(token: string, asker: Asker): Promise<'RESERVED' | 'OPEN' | null> {
    const tokenHash = hashSecret('streamReservation', token);
    return tokenHash && this.#reservations.find(tokenHash, asker.sessionId);
  }

  /** GET with a token: opens the stream, or answers 409 if the stream is already open. */
  async open(request: IncomingMessage, response: ServerResponse, { token, asker, isTokenLive }: Opener): Promise<void> {
    const tokenHash = hashOf(token);
    if (!(await this.#reservations.open(tokenHash, asker.sessionId))) {
      throw new HttpError(409, 'The stream is already open.');
    }
    const key = tokenHash.toString('hex');
    try {
      const stream = this.#registry.open({
        request,
        response,
        framing: eventStream,
        asker,
        isTokenLive,
        onClose: () => {
          this.#held.delete(key);
          if (!this.#isDraining) void this.#settle(() => this.#reservations.close(tokenHash));
        },
      });
      const release = (operationId: string) => this.#settle(() => this.#reservations.remove(tokenHash, operationId));
      const held = new SingleStream({ token, tokenHash, stream, asker, from: request, server: this.#server, release });
      this.#held.set(key, held);
      this.#lookAt([held]);
    } catch (error) {
      await this.#reservations.close(tokenHash);
      throw error;
    }
  }

  /**
   * POST or GET with a token and an operation id: answers 202 and delivers the results on the stream. If the operation
   * was cancelled in the meantime, answers 204.
   */
  async add(
    request: IncomingMessage,
    response: ServerResponse,
    { token, asker, url }: Owner & { url: URL },
  ): Promise<void> {
    if (!accepts(request.headers.accept, ['application/json', 'application/*', '*/*'])) {
      throw new HttpError(406, 'This response needs accept: application/json.');
    }
    const { params, operationId } = await this.#readOperation(request, { token, asker, url });
    const tokenHash = hashOf(token);
    const userAgent = request.headers['user-agent']?.slice(0, 256) ?? null;
    const operation = { tokenHash, operationId, params: seal(token, params), afterCursor: null, userAgent };
    const added = await this.#reservations.add(operation, asker.sessionId);
    if (typeof added === 'string') throw refuse(added);
    const cursor = await this.#server.realtime.readCursor();
    const isReady =
      !response.destroyed && (await this.#reservations.ready({ tokenHash, operationId, ...added }, cursor));
    // A client that has disconnected in the meantime can no longer cancel the operation, so the operation is removed
    // here.
    if (response.destroyed) await this.#reservations.remove(tokenHash, operationId);
    else response.writeHead(isReady ? 202 : 204).end();
  }

  /** DELETE with an operation id: answers 200 even if the operation does not exist. */
  async cancel(response: ServerResponse, { token, asker, url }: Owner & { url: URL }): Promise<void> {
    if ((await this.find(token, asker)) === null) throw refuse('UNKNOWN_STREAM');
    await this.#reservations.remove(hashOf(token), readOperationId(url.searchParams.get('operationId')));
    response.writeHead(200).end();
  }

  /** Reads the operation. Refuses an invalid request immediately. Execution errors arrive on the stream. */
  async #readOperation(
    request: IncomingMessage,
    { token, asker, url }: Owner & { url: URL },
  ): Promise<{ params: GraphqlParams; operationId: string }> {
    try {
      const params = await readStreamParams(request, url);
      const operationId = readOperationId(params.extensions?.['operationId']);
      this.#check(request, params);
      return { params: expandParams(this.#server.documents, params), operationId };
    } catch (error) {
      // If the stream does not exist, no other error in the request matters.
      if (error instanceof HttpError && (await this.find(token, asker)) === null) throw refuse('UNKNOWN_STREAM');
      throw error;
    }
  }

  #check(request: IncomingMessage, params: GraphqlParams): void {
    const preparation = prepareParams(this.#server.documents, params, { isKnown: true });
    if ('errors' in preparation) {
      const errors = preparation.errors.map((error) => this.#server.mask(error));
      throw new HttpError(400, 'The document is not valid.', { errors });
    }
    if (request.method === 'GET' && preparation.operation.operation === OperationTypeNode.MUTATION) {
      throw new HttpError(405, 'Send mutations by POST.', { headers: { allow: 'POST' } });
    }
  }

  /**
   * Updates these streams from the database. Only one update runs at a time, and it covers all streams that are due.
   */
  #lookAt(streams: Iterable<SingleStream>): void {
    for (const held of streams) this.#due.add(held);
    if (!this.#isLooking) void this.#look();
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    while (this.#due.size > 0) {
      const due = [...this.#due].filter(({ isOpen }) => isOpen);
      this.#due.clear();
      if (due.length > 0) await this.#settle(() => this.#bringUpToDate(due));
    }
    this.#isLooking = false;
  }

  async #bringUpToDate(streams: SingleStream[]): Promise<void> {
    const tokenHashes = streams.map(({ tokenHash }) => tokenHash);
    for (const waiting of await this.#reservations.take(tokenHashes)) {
      this.#held.get(waiting.tokenHash.toString('hex'))?.start(waiting);
    }
    const running = await this.#reservations.listRunning(tokenHashes);
    for (const held of streams) held.keep(running.get(held.tokenHash.toString('hex')) ?? null);
  }

  /**
   * Reports a failure instead of throwing it, because the database may be unavailable for a while. The next poll
   * retries a failed update.
   */
  async #settle(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#report('warn', 'could not refresh a single-connection stream', { error });
    }
  }
}

/** Returns the hash of a stream's token. Throws HttpError 404 for a malformed token. */
function hashOf(token: string): Buffer {
  const tokenHash = hashSecret('streamReservation', token);
  if (tokenHash === null) throw refuse('UNKNOWN_STREAM');
  return tokenHash;
}

function readOperationId(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') throw new HttpError(400, 'The operation id is missing.');
  const operationId = String(value);
  if (operationId === '') throw new HttpError(400, 'The operation id is missing.');
  // PostgreSQL stores the id and does not allow this character in text.
  if (operationId.includes('\u0000')) throw new HttpError(400, 'The operation id must not contain U+0000.');
  if (operationId.length > 256) throw new HttpError(400, 'The operation id is longer than 256 characters.');
  return operationId;
}

function refuse(refusal: AddRefusal): HttpError {
  switch (refusal) {
    case 'UNKNOWN_STREAM':
      return new HttpError(404, 'There is no such stream.', { code: 'NOT_FOUND' });
    case 'ID_IN_USE':
      return new HttpError(409, 'An operation with this id is already running.');
    case 'TOO_MANY_OPERATIONS':
      return tooMany('Too many operations on this stream: the limit is MAX_OPERATIONS_PER_STREAM.');
    case 'TOO_MANY_BYTES':
      return tooMany('The operations on this stream are too large in total: MAX_STREAM_BUFFER_BYTES is reached.');
    default:
      return refusal satisfies never;
  }
}

function tooMany(message: string): HttpError {
  return new HttpError(429, message, { code: 'RATE_LIMITED', headers: { 'retry-after': '5' } });
}
