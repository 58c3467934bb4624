import { isRefusal } from '../api/context.ts';
import { never, type Caller } from '../core/asker.ts';
import { startOperation, type OperationServices } from '../http/stream/operation.ts';
import type { Leases } from '../postgres/lease.ts';
import type { HeldWebhook } from './holding.ts';
import { WebhookKeeper, type WebhookTimes } from './webhook-keeper.ts';
import type { KeptSubscription } from './webhook-run.ts';
import type { WebhookSink } from './webhook-sink.ts';

/**
 * The number of events that are read first for a failing receiver. The remaining events are read after it has accepted
 * these.
 */
const triedEvents = 1;
/** The number of events that are read first for any other receiver. */
const firstRead = 50;

/**
 * Creates the webhook delivery on a node with streams. Each webhook is a subscriber, like an open stream, and shares
 * renderings with the streams and webhooks that have the same document.
 */
export function createWebhookKeeper(
  server: OperationServices,
  options: { leases: Leases; times?: Partial<WebhookTimes> | undefined },
): WebhookKeeper {
  const { services, realtime } = server;
  const { db, accounts, webhooks } = services;
  const keeper = new WebhookKeeper({
    ...options,
    ...webhooks,
    db,
    report: realtime.report,
    metrics: services.metrics,
    ringMail: accounts.mail && (() => accounts.mail?.ring()),
    subscribe: (webhook, sink) => subscribe(server, webhook, sink),
  });
  realtime.hub.onWebhookChange = (webhookId) => keeper.change(webhookId);
  return keeper;
}

async function subscribe(
  server: OperationServices,
  webhook: HeldWebhook,
  sink: WebhookSink,
): Promise<KeptSubscription> {
  const asker = await identifyLate(server, webhook);
  const params = { query: webhook.document, variables: webhook.variables, operationName: null, extensions: null };
  const preparation = server.documents.prepare(webhook.document, null, { isKnown: true });
  const operation = await startOperation(
    // A webhook may replay everything that is in the log, because its receiver determines the pace.
    { ...server, replayLimits: { maxEvents: 0, maxBytes: 0 } },
    {
      ...{ params, preparation },
      asker,
      ...{ userAgent: null, from: null, askedAt: null },
      lastEventId: webhook.cursor,
      webhook: { id: webhook.id, firstRead: webhook.failures > 0 ? triedEvents : firstRead },
    },
    sink,
  );
  const { subscription } = operation;
  return {
    close: operation.close,
    refresh: () => {
      const position = server.realtime.position();
      if (subscription?.isLive === true && position !== null) subscription.outlet.refresh([subscription], position);
    },
  };
}

/**
 * Identifies the user or key whose rights the webhook has. As with a stream, a revoked key is refused only when the
 * subscription needs its rights.
 */
async function identifyLate(server: OperationServices, webhook: HeldWebhook): Promise<() => Caller> {
  try {
    const caller = await identify(server, webhook);
    return () => caller;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return () => {
      throw error;
    };
  }
}

async function identify(
  { services: { accounts } }: OperationServices,
  { ownerId, sessionId, apiKeyId }: HeldWebhook,
): Promise<Caller> {
  if (apiKeyId !== null) return accounts.programs.identifyById(apiKeyId);
  if (ownerId === null || sessionId === null) throw new Error('a webhook has neither a session nor a key');
  return { kind: 'SESSION', userId: ownerId, sessionId, expiresAt: never };
}
