import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import type { Db } from './postgres/client.ts';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { readQuotas } from './core/limit.ts';
import { GroupCommit } from './chat/group-commit.ts';
import { RateLimits } from './core/rate-limit.ts';
import { addressOf } from './http/address.ts';
import { type Chore, Housekeeping } from './core/housekeeping.ts';
import { Egress } from './core/egress.ts';
import { Leases } from './postgres/lease.ts';
import { NodeLease, type Release } from './postgres/node-lease.ts';
import { openDatabase } from './postgres/opening.ts';
import { createPing } from './postgres/ping.ts';
import { ExportTurns } from './account/export-turn.ts';
import { PictureFetch, type PictureFetchOptions } from './account/picture-fetch.ts';
import { createCounters } from './redis/counters.ts';
import { RedisLink } from './redis/redis-link.ts';
import { readInstallation } from './postgres/installation.ts';
import { openAccounts } from './account/opening.ts';
import type { FileStorage } from './file/file.ts';
import { openFiles } from './file/opening.ts';
import { PartialUploadLeases } from './file/partial-upload-lease.ts';
import { FileLinks } from './file/file-link.ts';
import type { Argon2Cost } from './account/password.ts';
import { loadOrCreateKeys, publicKeySet, type AccessTokenKeys } from './account/token-key.ts';
import { CannotStart } from './errors.ts';
import type { Services } from './api/context.ts';
import { readEventRows } from './api/event-rows.ts';
import { LargeOperations } from './api/large-operation.ts';
import { printApi, printPossibleTypes } from './api/schema.ts';
import { schema } from './edges.ts';
import { serveHealth } from './http/health.ts';
import { serveText } from './http/text-page.ts';
import { sendJson } from './http/respond.ts';
import { uploadIdleMs } from './http/idleness.ts';
import type { UnreadLimits } from './http/unread.ts';
import type { ConnectionLimits } from './http/connection-door.ts';
import { type HttpOptions, type HttpServer, openHttpServer } from './http/server.ts';
import type { StreamTimes } from './http/stream/open-stream.ts';
import type { Metrics } from './core/metric.ts';
import type { Tracer } from './core/trace.ts';
import type { Report } from './core/report.ts';
import { readCursor } from './log/event-log.ts';
import type { Channels } from './redis/channels.ts';
import { Attendance, defaultAttendanceTimes, type AttendanceTimes } from './live/attendance.ts';
import type { ReadRows } from './live/broadcast/read-for-all.ts';
import { EventTraces } from './live/event-trace.ts';
import { Realtime } from './live/realtime.ts';
import type { LoopTimes } from './postgres/leased-loop.ts';
import { createExchange, type Exchange } from './live/exchange.ts';
import { TypingGate } from './live/typing-pace.ts';
import { openSearchIndex } from './search/search-index.ts';
import { SearchTurns } from './search/search-turn.ts';
import { SecretBox } from './webhook/signing-secret.ts';
import type { WebhookTimes } from './webhook/webhook-keeper.ts';
import { listChores } from './chore.ts';
import { openObservation, reachableHost } from './observation.ts';
import { createRoles, openDocuments, serves } from './role.ts';
import { surveyDatabase } from './survey.ts';

const migrationsFolder = join(import.meta.dirname, '../prisma/migrations');

/**
 * A running server. `metricsUrl` is the address of its metrics, or null if it has none. `close` takes the server off
 * the network, lets requests finish, and then stops everything else.
 */
export type App = { url: string; metricsUrl: string | null; close: () => Promise<void> };

/**
 * What tests can override: the cost of a password hash, the intervals of streams, webhooks, presence, mail, pictures
 * and uploads, and how much unread data clients may leave. `terminal`: where emails are printed if the server has no
 * mail server.
 */
export type Overrides = {
  terminal?: NodeJS.WritableStream | undefined;
  argon2?: Argon2Cost;
  mailTimes?: Partial<LoopTimes>;
  pictureTimes?: Partial<LoopTimes>;
  streamTimes?: Partial<StreamTimes>;
  webhookTimes?: Partial<WebhookTimes>;
  attendanceTimes?: Partial<AttendanceTimes>;
  /** Carries the log between nodes instead of Redis. */
  channels?: Channels;
  uploadIdleMs?: number;
  unread?: UnreadLimits;
};

type LiveParts = Exchange & {
  tracer: Tracer | null;
  db: Db;
  leases: Leases;
  report: Report;
  started: AsyncDisposableStack;
  directUrl: string;
  release: Release;
  attendanceTimes?: Partial<AttendanceTimes>;
};

/**
 * Starts the server's parts in order, because each part needs the ones before it. `close` stops them in reverse order.
 * If a part can't start, the parts that are already running are stopped and the error is thrown. The error is a
 * CannotStart if an operator can fix the cause.
 */
export async function start(config: Config, log: Logger, overrides: Overrides = {}): Promise<App> {
  await using started = new AsyncDisposableStack();

  const { report, metrics, metricsUrl, tracer } = await openObservation(config, log, started);
  const documents = await openDocuments(config);
  const { db, ...database } = await openDatabase({ ...config, migrationsFolder }, log, started);
  const redis = await openRedis(config, report, started);
  const keys = config.jwtKeys ?? (await loadOrCreateKeys(config.dataDir));
  const limits = await createLimits(config, { db, redis, report, metrics });
  const exchange = await createExchange(db.pool, overrides.channels ?? redis);
  const leases = new Leases(db);
  const parts = { db, keys, limits, leases, report, metrics, started };
  const accounts = await openAccounts({ ...config, ...overrides }, parts);
  const { node, realtime } = await openLive(config, { ...parts, ...database, ...overrides, ...exchange, tracer });
  surveyDatabase(metrics, db, realtime);
  const { files, ...uploads } = await openFiles(
    db,
    { ...config, isReceiving: serves(config, 'api') },
    { report, metrics },
  );
  const chores = listChores({ ...files, ...uploads, node }, config, report);
  const housekeeping = startHousekeeping(chores, files, { report, metrics, started });

  openBackground(config, { ...parts, files, times: overrides.pictureTimes });

  const services = {
    db,
    accounts,
    limits,
    metrics,
    report,
    addressOf: (request: IncomingMessage | null) => addressOf(request, config.trustedProxies),
    readCursor: () => realtime?.readCursor() ?? readCursor(db.pool),
    files,
    ...uploads,
    ...createLeasedTurns(leases),
    fileLinks: new FileLinks(keys),
    webhooks: { secretBox: new SecretBox(keys), allowsPrivate: config.webhookAllowPrivate },
    uploadIdleMs: overrides.uploadIdleMs ?? uploadIdleMs,
    typing: new TypingGate(exchange.typing),
    ...createQueues(db, metrics),
    continueDeletions: () => housekeeping.hurry(),
  };
  const roles = createRoles(config, log, { services, documents, realtime, leases, report, ...overrides });
  roles.webhooks?.open();
  started.defer(() => roles.webhooks?.close());

  const status = { isDraining: false };
  let drained: Promise<void> | undefined;
  started.defer(async () => drained);
  const http = await listen(config, {
    ...roles.handlers,
    pages: { ...roles.handlers.pages, ...createPages({ db, realtime, keys }, () => status.isDraining) },
    ...httpSettings(config),
    addressOf: services.addressOf,
    unread: overrides.unread,
    metrics,
    report,
    tracer,
    endStreams: () => void (drained = roles.drain()),
    log,
  });
  started.defer(http.close);
  started.defer(() => void (status.isDraining = true));

  const address = `http://${reachableHost(config.host)}:${http.port}`;
  log.info(serves(config, 'api') ? `GraphiQL is at ${address}/graphql` : `streams are at ${address}/graphql/stream`);
  const running = started.move();
  return { url: address, metricsUrl, close: () => running.disposeAsync() };
}

/**
 * Creates the rate limits. Their counters are in Redis if Redis is configured, under keys that are specific to this
 * installation.
 */
async function createLimits(
  config: Config,
  { db, redis, ...observers }: { db: Db; redis: RedisLink | null; report: Report; metrics: Metrics },
): Promise<RateLimits> {
  const counters = redis && {
    client: createCounters(redis),
    prefix: `parley:${await readInstallation(db.pool)}:limit:`,
  };
  return new RateLimits({ quotas: readQuotas(config), store: db.pool, counters, ...observers });
}

/** Fills the search index. On a node that serves the API, it also fetches the pictures of users from other systems. */
function openBackground(
  config: Config,
  { started, db, ...parts }: Omit<PictureFetchOptions, 'egress'> & Pick<LiveParts, 'db' | 'started'>,
): void {
  openSearchIndex({ db, leases: parts.leases, report: parts.report, started });
  if (!serves(config, 'api') || config.authIssuers === null) return;
  const fetch = new PictureFetch({ ...parts, egress: new Egress(config.egressAllow ?? []) });
  fetch.open();
  started.defer(() => fetch.close());
}

/** Connects to Redis if it is configured. */
async function openRedis({ redis }: Config, report: Report, started: AsyncDisposableStack): Promise<RedisLink | null> {
  if (redis === null) return null;
  const link = await RedisLink.open(redis, report);
  started.defer(() => link.close());
  return link;
}

/** Opens the component that tracks who is connected. `realtime` is null on a node that does not serve streams. */
async function openLive(
  config: Config,
  { tracer, db, leases, report, started, directUrl, release, attendanceTimes, channels, typing }: LiveParts,
): Promise<{ node: NodeLease; realtime: Realtime | null }> {
  const { expiry, beat } = { ...defaultAttendanceTimes, ...attendanceTimes };
  const node = new NodeLease(leases, { expiry, renewal: beat }, release);
  await node.open();
  started.defer(() => node.close());
  const traces = tracer && new EventTraces(tracer);
  started.defer(() => traces?.close());
  const live = { pool: db.pool, node, report, attendanceTimes };
  const readRows: ReadRows = (events) => readEventRows(db, events);
  const parts = { ...live, directUrl, traces, broadcast: channels && { channels, leases, readRows }, typing };
  const realtime = serves(config, 'streams') ? new Realtime(parts) : null;
  // Every node runs this, even a node without streams. If the last node with streams dies, the other nodes mark its
  // users as offline.
  const background = realtime ?? new Attendance(live);
  await background.open();
  started.defer(() => background.close());
  return { node, realtime };
}

/** Creates the pages for programs that monitor the server, read its schema, or verify its tokens. */
function createPages(
  { db, realtime, keys }: { db: Db; realtime: Realtime | null; keys: AccessTokenKeys },
  isDraining: () => boolean,
): HttpOptions['pages'] {
  return {
    ...serveHealth({
      'not draining': () => !isDraining(),
      database: createPing(db, 1_000),
      ...(realtime && { 'event feed': () => realtime.isReady() }),
    }),
    '/schema.graphql': serveText('text/plain', printApi(schema)),
    '/possible-types.json': serveText('application/json', printPossibleTypes(schema)),
    '/.well-known/jwks.json': (_, response) => sendJson(response, 200, publicKeySet(keys)),
  };
}

/** Starts the periodic removal of old data. */
function startHousekeeping(
  chores: Chore[],
  { store, pictures }: FileStorage,
  { report, metrics, started }: { report: Report; metrics: Metrics; started: AsyncDisposableStack },
): Housekeeping {
  const housekeeping = new Housekeeping({ report, metrics, chores });
  housekeeping.open();
  started.defer(() => housekeeping.close());
  // The file store is closed before housekeeping, because housekeeping may be waiting for the store.
  started.defer(() => store.close());
  started.defer(() => pictures.close());
  return housekeeping;
}

/** Creates the queues in which requests wait for their turn. */
function createQueues(db: Db, metrics: Metrics): Pick<Services, 'searches' | 'largeOperations' | 'writes'> {
  return {
    searches: new SearchTurns(db),
    largeOperations: new LargeOperations(),
    writes: new GroupCommit(db.pool, metrics),
  };
}

/** Creates the locks for work that only one request at a time may do across all nodes. */
function createLeasedTurns(leases: Leases): Pick<Services, 'partialLeases' | 'exports'> {
  return { partialLeases: new PartialUploadLeases(leases), exports: new ExportTurns(leases) };
}

function httpSettings(
  config: Config,
): Pick<HttpOptions, 'corsOrigin' | 'connections' | 'keepAliveMs' | 'stopDelayMs' | 'accessLog'> {
  const { corsOrigin, keepAliveMs, stopDelayMs, accessLog } = config;
  return { corsOrigin, keepAliveMs, stopDelayMs, accessLog: accessLog === 'on', connections: connectionLimits(config) };
}

/**
 * Returns the limits on connections. Behind proxies, there is no limit per address, because every connection comes from
 * a proxy's address.
 */
function connectionLimits({ maxConnections, maxConnectionsPerAddress, trustedProxies }: Config): ConnectionLimits {
  return { total: maxConnections, perAddress: trustedProxies > 0 ? 0 : maxConnectionsPerAddress };
}

async function listen({ host, port }: Config, options: HttpOptions): Promise<HttpServer> {
  try {
    return await openHttpServer({ host, port }, options);
  } catch (error) {
    throw new CannotStart(`Cannot listen on HOST ${host}, PORT ${port}: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}
