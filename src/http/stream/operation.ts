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
import { createContext, type Services } from '../../api/context.ts';
import { refuseTooLarge } from '../../api/measure.ts';
import { executeOperation } from '../../api/execute.ts';
import type { DocumentCache, Preparation, PreparedOperation } from '../../api/document.ts';
import { DocumentRenderer, subscriptionKey } from '../../api/event-renderer.ts';
import { EventRequest } from '../../api/event-request.ts';
import type { FanOut } from '../../live/fan-out.ts';
import type { Asker } from '../../core/asker.ts';
import type { Realtime } from '../../live/realtime.ts';
import { withoutStatus } from '../graphql-operation.ts';
import type { GraphqlParams } from '../params.ts';
import type { Sink } from './sink.ts';
import type { ReplayLimits } from './replay-budget.ts';
import { EventSubscription } from './subscription.ts';

/** What operations need of the server. */
export type OperationServices = {
  schema: GraphQLSchema;
  documents: DocumentCache;
  fanOut: FanOut;
  realtime: Realtime;
  services: Services;
  replayLimits: ReplayLimits;
  /** What a client may learn of an error; see api/fault.ts. */
  mask: (error: unknown) => GraphQLError;
};

/** Who sends it. `viewer` throws Unauthenticated for a token that isn't good. */
export type OperationRequest = {
  params: GraphqlParams;
  preparation: Preparation;
  asker: () => Asker | null;
  userAgent: string | null;
  /** The request whose network it counts for. */
  from: IncomingMessage;
  /** Stands for `after`: what a reconnecting EventSource says it saw last. */
  lastEventId: string | null;
  /** The head of the log when it was asked for, where that is some time ago: it begins there when `after` isn't given. */
  askedAt: string | null;
};

/** An operation that runs (or is done); `close` it when its client is gone. */
export type RunningOperation = { close: () => void; isDone: boolean; subscription: EventSubscription | null };

/**
 * Executes one operation into its sink: a query or mutation gives one result, a subscription goes on. What is wrong with
 * the operation itself is a result too, and ends it.
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
    return subscribe(server, preparation, { args, sink });
  }
  const { schema, mask } = server;
  const { variables } = request.params;
  return finish(sink, await executeOperation({ schema, operation: preparation, variables, context, mask }));
}

async function subscribe(
  server: OperationServices,
  preparation: PreparedOperation,
  { args, sink }: { args: ExecutionArgs; sink: Sink },
): Promise<RunningOperation> {
  const variables = args.variableValues ?? {};
  const refusal = refuseTooLarge(server.schema, preparation, variables);
  if (refusal !== null) return finish(sink, maskAll(server, { errors: [refusal] }));
  const source = await createSource(server, { args, sink });
  if (!(Symbol.asyncIterator in source)) return finish(sink, maskAll(server, source));
  if (!(source instanceof EventRequest)) throw new Error('a subscription without events');
  const { fanOut, schema, services, realtime } = server;
  const shared = fanOut.join(
    subscriptionKey(preparation, variables),
    (isWanted) =>
      new DocumentRenderer({ ...preparation, schema, services, variables, isWanted, report: realtime.report }),
  );
  const subscription = new EventSubscription({
    ...server,
    request: source,
    shared,
    sink,
  });
  if (!sink.isOpen) {
    fanOut.leave(shared);
    return done;
  }
  void subscription.open();
  let isOpen = true;
  return {
    subscription,
    isDone: false,
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      subscription.close();
      fanOut.leave(shared);
    },
  };
}

/**
 * What a subscription asks for, or what is wrong with it. While the database is away nothing can be said of that: it is
 * asked again, for errors would tell the client not to come back.
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
