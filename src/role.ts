import { join } from 'node:path';
import type { Report } from './core/report.ts';
import type { Logger } from 'pino';
import { DocumentCache } from './api/document.ts';
import { readTrustedDocuments } from './api/trusted-document.ts';
import type { Services } from './api/context.ts';
import { createMask } from './api/fault.ts';
import { createGraphqlServer } from './api/yoga.ts';
import type { Config } from './config.ts';
import { httpEdges, schema } from './edges.ts';
import { serveGraphiql } from './http/graphiql.ts';
import { fillPlaceholders } from './http/graphiql-script.ts';
import { firstConversation } from './http/graphiql-tabs.ts';
import { serveGraphql } from './http/graphql.ts';
import { serveRest } from './http/rest/rest.ts';
import { serveMcp } from './http/mcp/mcp.ts';
import type { HttpOptions } from './http/server.ts';
import { serveWebPage } from './http/web-page.ts';
import type { StreamTimes } from './http/stream/open-stream.ts';
import { Streams, type StreamLimits } from './http/stream/streams.ts';
import type { Realtime } from './live/realtime.ts';
import type { Leases } from './postgres/lease.ts';
import type { WebhookKeeper, WebhookTimes } from './webhook/webhook-keeper.ts';

/** Returns whether the SERVE setting gives this node the role. */
export function serves({ serve }: Config, role: Config['serve'][number]): boolean {
  return serve.includes(role);
}

/**
 * Creates the document cache, with the documents of the operator's manifest. Throws CannotStart if the manifest cannot
 * be used.
 */
export async function openDocuments({
  trustedDocuments: path,
  trustedDocumentsOnly: isOnly,
}: Config): Promise<DocumentCache> {
  return new DocumentCache(schema, path === null ? null : await readTrustedDocuments(schema, { path, isOnly }));
}

/** The handlers of a node, which depend on its roles. */
type Handlers = Pick<
  HttpOptions,
  | 'graphql'
  | 'graphiql'
  | 'streams'
  | 'upload'
  | 'tus'
  | 'download'
  | 'logout'
  | 'personalExport'
  | 'import'
  | 'events'
  | 'rest'
  | 'hooks'
  | 'mcp'
  | 'pages'
>;

/** The folder into which `npm run web` builds the chat app. */
const webFolder = join(import.meta.dirname, 'web/generated');

/** The parts that the roles of a node need. Tests override the times. */
export type RoleParts = {
  services: Services;
  documents: DocumentCache;
  realtime: Realtime | null;
  leases: Leases;
  streamTimes?: Partial<StreamTimes>;
  webhookTimes?: Partial<WebhookTimes>;
  report: Report;
};

/**
 * Creates the HTTP handlers for this node's roles, the function that drains its streams, and the webhook delivery,
 * which runs on nodes with streams.
 */
export function createRoles(
  config: Config,
  log: Logger,
  { services, documents, realtime, leases, streamTimes, webhookTimes, report }: RoleParts,
): { handlers: Handlers; drain: () => Promise<void>; webhooks: WebhookKeeper | null } {
  const common = { schema, documents, services, mask: createMask(log, services) };
  const streams =
    realtime &&
    new Streams({
      ...common,
      realtime,
      limits: streamLimits(config),
      trustedProxies: config.trustedProxies,
      ...(streamTimes === undefined ? {} : { times: streamTimes }),
    });
  const webhooks = streams && httpEdges.createWebhookKeeper(streams.operations, { leases, times: webhookTimes });
  const yoga = createGraphqlServer(common);
  const handlers: Handlers = {
    pages: createWebPage(config),
    ...(serves(config, 'api') && {
      graphql: serveGraphql({ ...common, yoga, upload: httpEdges.serveGraphqlUpload(common) }),
      graphiql: serveGraphiql(firstConversation, fillPlaceholders),
      upload: httpEdges.serveUpload(services),
      tus: httpEdges.serveTus(services),
      download: httpEdges.serveDownload(services),
      logout: httpEdges.serveLogout(services, report),
      personalExport: httpEdges.serveExport(services),
      import: httpEdges.serveImport(services),
      rest: serveRest(common),
      hooks: httpEdges.serveIncomingWebhooks(common),
      mcp: serveMcp({ ...common, corsOrigin: config.corsOrigin }),
    }),
    ...(streams && {
      streams: (request, response) => streams.handle(request, response),
      events: (request, response) => streams.handleEvents(request, response),
    }),
  };
  const drain = async () => {
    services.partialLeases.letGo();
    await streams?.drain();
  };
  return { handlers, drain, webhooks };
}

/**
 * Returns the handler for the chat app at `/`. If files are served by redirect, the app loads its pictures from the
 * bucket.
 */
function createWebPage(config: Config): HttpOptions['pages'] {
  if (config.webPage === 'off' || !serves(config, 'api')) return {};
  return serveWebPage(webFolder, findPictureOrigins(config));
}

function findPictureOrigins({ fileServing, fileStore }: Config): string[] {
  if (fileServing !== 'redirect' || fileStore === null) return [];
  const { protocol, host } = new URL(fileStore.publicEndpoint ?? fileStore.endpoint ?? 'https://aws');
  if (protocol === 'https:') return ['https:'];
  return [`${protocol}//${fileStore.isPathStyle ? '' : `${fileStore.bucket}.`}${host}`];
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
