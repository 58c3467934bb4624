import type { IncomingMessage } from 'node:http';
import {
  createSourceEventStream,
  OperationTypeNode,
  type ExecutionArgs,
  type ExecutionResult,
  type FormattedExecutionResult,
  type GraphQLError,
  type GraphQLSchema,
} from 'graphql';
import { createContext, type Context, type Services } from '../../api/context.ts';
import { judgeScopes } from '../../api/scope.ts';
import { judgeSize, type Measure } from '../../api/measure.ts';
import { executeOperation } from '../../api/execute.ts';
import type { DocumentCache, Preparation, PreparedOperation } from '../../api/document.ts';
import { DocumentRenderer, subscriptionKey } from '../../api/event-renderer.ts';
import { EventRequest } from '../../api/event-request.ts';
import type { FanOut } from '../../live/fan-out.ts';
import type { SharedSubscription } from '../../live/shared-subscription.ts';
import { RateLimited } from '../../errors.ts';
import { payerOf, type Caller } from '../../core/asker.ts';
import type { Realtime } from '../../live/realtime.ts';
import { withoutStatus } from '../graphql-operation.ts';
import type { GraphqlParams } from '../params.ts';
import type { Sink } from './sink.ts';
import type { ReplayLimits } from './replay-budget.ts';
import { EventSubscription } from './subscription.ts';

/** What the server provides for the execution of operations. */
export type OperationServices = {
  schema: GraphQLSchema;
  documents: DocumentCache;
  fanOut: FanOut;
  realtime: Realtime;
  services: Services;
  replayLimits: ReplayLimits;
  /** Hides from clients the parts of an error that they may not see; see api/fault.ts. */
  mask: (error: unknown) => GraphQLError;
};

/** An operation with its sender. `asker` throws Unauthenticated for an invalid token. */
export type OperationRequest = {
  params: Pick<GraphqlParams, 'variables'>;
  preparation: Preparation;
  asker: () => Caller | null;
  userAgent: string | null;
  /** The request whose network address is used for the limits of the operation. */
  from: IncomingMessage | null;
  /** The last event that a reconnecting EventSource reports. It replaces `after`. */
  lastEventId: string | null;
  /**
   * The head of the log at the time when the operation was requested, if that was some time ago. If `after` is absent,
   * the subscription starts there.
   */
  askedAt: string | null;
  /** This is set for a webhook. Each webhook has its own subscription budget, whose key is a negative number. */
  webhook?: { id: bigint; firstRead: number };
};

/** An operation that is running or has ended; call `close` when its client has disconnected. */
export type RunningOperation = { close: () => void; isDone: boolean; subscription: EventSubscription | null };

/**
 * Executes an operation and sends its results to the sink: a query or mutation has one result, and a subscription has
 * many. An error of the operation itself is also sent as a result, and ends the operation.
 */
export async function startOperation(
  server: OperationServices,
  request: OperationRequest,
  sink: Sink,
): Promise<RunningOperation> {
  const { preparation } = request;
  if ('errors' in preparation) return finish(sink, maskAll(server, { errors: preparation.errors }));
  const { asker, userAgent, from, lastEventId, askedAt } = request;
  const context = createContext(server.services, { asker, userAgent, from, lastEventId, askedAt });
  const args: ExecutionArgs = {
    schema: server.schema,
    document: preparation.document,
    operationName: preparation.operation.name?.value,
    variableValues: request.params.variables ?? {},
    contextValue: context,
  };
  if (preparation.operation.operation === OperationTypeNode.SUBSCRIPTION) {
    return subscribe(server, request, { preparation, args, context, sink });
  }
  const { schema, mask } = server;
  const { variables } = request.params;
  return finish(sink, await executeOperation({ schema, operation: preparation, variables, context, mask }));
}

async function subscribe(
  server: OperationServices,
  { webhook }: Pick<OperationRequest, 'webhook'>,
  {
    preparation,
    args,
    context,
    sink,
  }: { preparation: PreparedOperation; args: ExecutionArgs; context: Context; sink: Sink },
): Promise<RunningOperation> {
  const variables = args.variableValues ?? {};
  const { refusal, measure } = judgeSize(server.schema, preparation, variables);
  if (refusal !== null) return finish(sink, maskAll(server, { errors: [refusal] }));
  const unscoped = judgeScopes(server.schema, preparation, context);
  if (unscoped !== null) return finish(sink, maskAll(server, { errors: [unscoped] }));
  const source = await createSource(server, { args, sink });
  if (!(Symbol.asyncIterator in source)) return finish(sink, maskAll(server, source));
  if (!(source instanceof EventRequest)) throw new Error('the subscription has no events');
  if (!sink.isOpen) return done;
  try {
    const payer = webhook === undefined ? payerOf(source.asker) : -(2n * webhook.id);
    const shared = join(server, preparation, { variables, payer, cost: measure });
    return run(server, shared, { source, sink, payer, ...(webhook && { webhook }) });
  } catch (error) {
    if (error instanceof RateLimited) return finish(sink, { errors: [withoutStatus(server.mask(error))] });
    throw error;
  }
}

/**
 * Joins the shared subscription with the same results, or starts one. Throws RateLimited when the asker already has too
 * many subscriptions.
 */
function join(
  { fanOut, schema, services, realtime: { report } }: OperationServices,
  preparation: PreparedOperation,
  { variables, payer, cost }: { variables: Record<string, unknown>; payer: bigint; cost: Measure | null },
): SharedSubscription {
  // This cannot happen: graphql-js has already accepted the variables.
  if (cost === null) throw new Error('the variables do not fit');
  const options = { ...preparation, schema, services, variables, cost, report };
  return fanOut.join(
    subscriptionKey(preparation, variables),
    payer,
    (isWanted) => new DocumentRenderer({ ...options, isWanted }),
  );
}

/** Opens a subscription that has joined `shared`. When the subscription is closed, it leaves `shared`. */
function run(
  server: OperationServices,
  shared: SharedSubscription,
  { source, payer, ...rest }: { source: EventRequest; sink: Sink; payer: bigint; webhook?: { firstRead: number } },
): RunningOperation {
  const subscription = new EventSubscription({ ...server, request: source, shared, ...rest });
  void subscription.open();
  let isOpen = true;
  return {
    subscription,
    isDone: false,
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      subscription.close();
      server.fanOut.leave(shared, payer);
    },
  };
}

/**
 * Resolves to the event request of the subscription, or to its errors. Retries while the database is unavailable,
 * because an error would tell the client not to reconnect.
 */
async function createSource(
  { realtime }: OperationServices,
  { args, sink }: { args: ExecutionArgs; sink: Sink },
): Promise<AsyncIterable<unknown> | ExecutionResult> {
  let refusal: ExecutionResult | null = null;
  const ask = async () => {
    const source = await createSourceEventStream(args);
    if (Symbol.asyncIterator in source) return source;
    refusal = source;
    throw source.errors?.[0]?.originalError ?? new Error('refused');
  };
  try {
    return await realtime.retry(ask, () => sink.isOpen);
  } catch (error) {
    if (refusal === null) throw error;
    return refusal;
  }
}

function finish(sink: Sink, result: ExecutionResult | FormattedExecutionResult): RunningOperation {
  sink.finish(JSON.stringify(result));
  return done;
}

function maskAll({ mask }: OperationServices, { errors, ...result }: ExecutionResult): FormattedExecutionResult {
  return errors === undefined ? result : { ...result, errors: errors.map((error) => withoutStatus(mask(error))) };
}

const done: RunningOperation = { close: () => undefined, isDone: true, subscription: null };
