import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import type { Db } from './postgres/client.ts';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { readQuotas } from './core/limit.ts';
import { GroupCommit } from './chat/group-commit.ts';
import { pruneInvites } from './chat/invite.ts';
import { pruneSlowModeTurns } from './chat/slow-mode.ts';
import { RateLimits, pruneLimits } from './core/rate-limit.ts';
import { addressOf } from './http/address.ts';
import { Housekeeping } from './core/housekeeping.ts';
import { Leases, pruneLeases } from './postgres/lease.ts';
import { NodeLease } from './postgres/node-lease.ts';
import { openDatabase } from './postgres/opening.ts';
import { createPing } from './postgres/ping.ts';
import { pruneRestrictions } from './postgres/restriction.ts';
import { purgeReports } from './admin/report.ts';
import { continueDeletions } from './account/account-deletion.ts';
import { ExportTurns } from './account/export-turn.ts';
import { mailChores, openAccounts } from './account/opening.ts';
import { pruneSessions } from './account/session.ts';
import { pruneRefusals } from './account/token-refusal.ts';
import type { FileStorage } from './file/file.ts';
import { fileChores } from './file/file-sweep.ts';
import { openFiles } from './file/opening.ts';
import { partialChore, type PartialUploads } from './file/partial-upload.ts';
import { PartialUploadLeases } from './file/partial-upload-lease.ts';
import { FileLinks } from './file/file-link.ts';
import type { Argon2Cost } from './account/password.ts';
import { loadOrCreateKeys, publicKeySet } from './account/token-key.ts';
import { CannotStart, describeFault } from './errors.ts';
import type { Services } from './api/context.ts';
import { firstConversation } from './http/graphiql-tabs.ts';
import { fillPlaceholders } from './http/graphiql-script.ts';
import { DocumentCache } from './api/document.ts';
import { LargeOperations } from './api/large-operation.ts';
import { createMask } from './api/fault.ts';
import { httpEdges, schema } from './edges.ts';
import { createGraphqlServer } from './api/yoga.ts';
import { serveGraphql } from './http/graphql.ts';
import { serveGraphiql } from './http/graphiql.ts';
import { serveHealth } from './http/health.ts';
import { sendJson } from './http/respond.ts';
import { uploadIdleMs } from './http/idleness.ts';
import type { UnreadLimits } from './http/unread.ts';
import type { ConnectionLimits } from './http/connection-door.ts';
import { type HttpOptions, type HttpServer, openHttpServer } from './http/server.ts';
import type { StreamTimes } from './http/stream/open-stream.ts';
import { Streams, type StreamLimits } from './http/stream/streams.ts';
import type { Report } from './core/report.ts';
import { readCursor } from './log/event-log.ts';
import { Attendance, defaultAttendanceTimes, type AttendanceTimes } from './live/attendance.ts';
import { pruneAuditEntries } from './log/audit-log.ts';
import { pruneEvents } from './log/retention.ts';
import { Realtime } from './live/realtime.ts';
import type { LoopTimes } from './postgres/leased-loop.ts';
import { pruneReservations } from './live/reservation.ts';
import { TypingGate } from './live/typing-pace.ts';
import { SearchTurns } from './search/search-turn.ts';

const migrationsFolder = join(import.meta.dirname, '../prisma/migrations');

/** A running server. `close` takes it off the network, lets requests finish, and then stops everything else. */
export type App = { url: string; close: () => Promise<void> };

/**
 * What tests may override: the cost of a password hash, the intervals of streams, presence, mail and uploads, and what
 * clients may leave unread. `terminal`: where emails are printed if there is no mail server.
 */
export type Overrides = {
  terminal?: NodeJS.WritableStream | undefined;
  argon2?: Argon2Cost;
  mailTimes?: Partial<LoopTimes>;
  streamTimes?: Partial<StreamTimes>;
  attendanceTimes?: Partial<AttendanceTimes>;
  uploadIdleMs?: number;
  unread?: UnreadLimits;
};

/**
 * Starts the server's parts in order, because each one needs those before it; `close` stops them in reverse. If a part
 * can't start, the ones already running are stopped and the error is thrown: CannotStart if an operator can fix it.
 */
export async function start(config: Config, log: Logger, overrides: Overrides = {}): Promise<App> {
  await using started = new AsyncDisposableStack();

  const { db, directUrl } = await openDatabase({ ...config, migrationsFolder }, log, started);
  const keys = config.jwtKeys ?? (await loadOrCreateKeys(config.dataDir));
  const limits = new RateLimits({ quotas: readQuotas(config), store: db.pool, report: reportTo(log) });
  const leases = new Leases(db);
  const parts = { db, keys, limits, leases, report: reportTo(log), started };
  const accounts = await openAccounts({ ...config, ...overrides }, parts);
  const { expiry, beat } = { ...defaultAttendanceTimes, ...overrides.attendanceTimes };
  const node = new NodeLease(leases, { expiry, renewal: beat });
  await node.open();
  started.defer(() => node.close());
  const live = { pool: db.pool, node, report: reportTo(log), attendanceTimes: overrides.attendanceTimes };
  const realtime = serves(config, 'streams') ? new Realtime({ ...live, directUrl }) : null;
  // Every node runs this, even one without streams: if the last node with streams dies, the others mark its users as
  // offline.
  const background = realtime ?? new Attendance(live);
  await background.open();
  started.defer(() => background.close());

  const { files, ...uploads } = await openFiles(db, { ...config, isReceiving: serves(config, 'api') }, reportTo(log));
  const housekeeping = startHousekeeping({ ...files, ...uploads, node }, config, { log, started });

  const services = {
    db,
    accounts,
    limits,
    addressOf: (request: IncomingMessage | null) => addressOf(request, config.trustedProxies),
    readCursor: () => realtime?.readCursor() ?? readCursor(db.pool),
    files,
    ...uploads,
    ...createLeasedTurns(leases),
    fileLinks: new FileLinks(keys),
    uploadIdleMs: overrides.uploadIdleMs ?? uploadIdleMs,
    typing: new TypingGate(),
    ...createQueues(db),
    continueDeletions: () => housekeeping.hurry(),
  };
  const roles = createRoles(config, log, { services, realtime, streamTimes: overrides.streamTimes });

  const status = { isDraining: false };
  let drained: Promise<void> | undefined;
  started.defer(async () => drained);
  const http = await listen(config, {
    ...roles.handlers,
    pages: {
      ...serveHealth({
        'not draining': () => !status.isDraining,
        database: createPing(db, 1_000),
        ...(realtime && { 'event feed': () => realtime.isReady() }),
      }),
      '/.well-known/jwks.json': (_, response) => sendJson(response, 200, publicKeySet(keys)),
    },
    corsOrigin: config.corsOrigin,
    connections: connectionLimits(config),
    addressOf: services.addressOf,
    keepAliveMs: config.keepAliveMs,
    unread: overrides.unread,
    endStreams: () => void (drained = roles.drain()),
    log,
  });
  started.defer(http.close);
  started.defer(() => void (status.isDraining = true));

  const address = `http://${reachableHost(config.host)}:${http.port}`;
  log.info(serves(config, 'api') ? `GraphiQL is at ${address}/graphql` : `streams are at ${address}/graphql/stream`);
  const running = started.move();
  return { url: address, close: () => running.disposeAsync() };
}

function serves({ serve }: Config, role: Config['serve'][number]): boolean {
  return serve.includes(role);
}

/** The HTTP handlers for this node's roles, and the function that drains its streams. */
function createRoles(
  config: Config,
  log: Logger,
  parts: { services: Services; realtime: Realtime | null; streamTimes: Partial<StreamTimes> | undefined },
) {
  const { services, realtime, streamTimes } = parts;
  const common = { schema, documents: new DocumentCache(schema), services, mask: createMask(log) };
  const streams =
    realtime &&
    new Streams({
      ...common,
      realtime,
      limits: streamLimits(config),
      trustedProxies: config.trustedProxies,
      ...(streamTimes === undefined ? {} : { times: streamTimes }),
    });
  const yoga = createGraphqlServer(common);
  const handlers: Pick<
    HttpOptions,
    'graphql' | 'graphiql' | 'streams' | 'upload' | 'tus' | 'download' | 'logout' | 'personalExport'
  > = {
    ...(serves(config, 'api') && {
      graphql: serveGraphql({ ...common, yoga, upload: httpEdges.serveGraphqlUpload(common) }),
      graphiql: serveGraphiql(firstConversation, fillPlaceholders),
      upload: httpEdges.serveUpload(services),
      tus: httpEdges.serveTus(services),
      download: httpEdges.serveDownload(services),
      logout: httpEdges.serveLogout(services),
      personalExport: httpEdges.serveExport(services),
    }),
    ...(streams && { streams: (request, response) => streams.handle(request, response) }),
  };
  const drain = async () => {
    services.partialLeases.letGo();
    await streams?.drain();
  };
  return { handlers, drain };
}

/** Creates the queues in which work takes turns. */
function createQueues(db: Db): Pick<Services, 'searches' | 'largeOperations' | 'writes'> {
  return { searches: new SearchTurns(db), largeOperations: new LargeOperations(), writes: new GroupCommit(db.pool) };
}

/** Creates what one request at a time may do, among all nodes. */
function createLeasedTurns(leases: Leases): Pick<Services, 'partialLeases' | 'exports'> {
  return { partialLeases: new PartialUploadLeases(leases), exports: new ExportTurns(leases) };
}

/** Starts the periodic removal of old data. */
function startHousekeeping(
  { db, store, pictures, partials, node }: FileStorage & { partials: PartialUploads; node: NodeLease },
  config: Config,
  { log, started }: { log: Logger; started: AsyncDisposableStack },
): Housekeeping {
  const housekeeping = new Housekeeping({
    report: reportTo(log),
    chores: [
      { name: 'erased accounts', clear: (limit) => continueDeletions({ db }, limit) },
      { name: 'old events', clear: (limit) => pruneEvents(db.pool, config.eventRetentionMs, limit) },
      { name: 'old audit entries', clear: (limit) => pruneAuditEntries(db.pool, config.auditRetentionMs, limit) },
      { name: 'ended restrictions', clear: (limit) => pruneRestrictions(db.pool, limit) },
      { name: 'old turns of slow mode', clear: (limit) => pruneSlowModeTurns(db.pool, limit) },
      { name: 'used-up and expired invites', clear: (limit) => pruneInvites(db, limit) },
      { name: 'old reports', clear: (limit) => purgeReports(db, limit) },
      { name: 'used-up limits', clear: (limit) => pruneLimits(db.pool, limit) },
      { name: 'expired leases', clear: (limit) => (node.isSettled ? pruneLeases(db, limit) : Promise.resolve(0)) },
      { name: 'unopened streams', clear: (limit) => pruneReservations(db.pool, limit) },
      { name: 'dead sessions', clear: (limit) => pruneSessions({ db }, limit) },
      { name: 'refused tokens', clear: (limit) => pruneRefusals({ db }, limit) },
      ...mailChores(db, reportTo(log)),
      ...(serves(config, 'api') ? [...fileChores({ db, store }, reportTo(log)), partialChore(partials)] : []),
    ],
  });
  housekeeping.open();
  started.defer(() => housekeeping.close());
  // Closed before housekeeping, which may wait for it.
  started.defer(() => store.close());
  started.defer(() => pictures.close());
  return housekeeping;
}

/** Behind proxies every connection comes from a proxy's address, so there is no limit per address. */
function connectionLimits({ maxConnections, maxConnectionsPerAddress, trustedProxies }: Config): ConnectionLimits {
  return { total: maxConnections, perAddress: trustedProxies > 0 ? 0 : maxConnectionsPerAddress };
}

function streamLimits(config: Config): StreamLimits {
  return {
    perSession: config.maxStreamsPerSession,
    perAddress: config.maxStreamsPerAddress,
    operationsPerStream: config.maxOperationsPerStream,
    complexityPerPerson: config.maxSubscriptionComplexity,
    bufferBytes: config.maxStreamBufferBytes,
    replay: { maxEvents: config.maxReplayEvents, maxBytes: config.maxReplayBytes },
  };
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

/** Writes reports to the log. Errors are reduced to what may be logged. */
function reportTo(log: Logger): Report {
  return (level, message, { error, ...detail } = {}) =>
    log[level]({ ...detail, ...(error === undefined ? {} : { fault: describeFault(error) }) }, message);
}

/** A host name for the links that are shown to the operator. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}
