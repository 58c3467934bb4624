import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  OperationTypeNode,
  type ExecutionResult,
  type GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
} from 'graphql';
import { createContext, type Services } from '../api/context.ts';
import type { DocumentCache, Preparation } from '../api/document.ts';
import { badRequest } from '../api/error.ts';
import { describeLimits } from '../api/limit.ts';
import { executeOperation } from '../api/execute.ts';
import { tellUsage } from '../api/usage.ts';
import { isRecord } from '../core/json.ts';
import type { Caller } from '../core/asker.ts';

/** What the server provides for the execution of operations. */
export type GraphqlOptions = {
  schema: GraphQLSchema;
  documents: DocumentCache;
  services: Services;
  /** Hides from clients the parts of an error that they may not see; see api/fault.ts. */
  mask: (error: unknown) => GraphQLError;
};

/**
 * The sender of an operation. `asker` throws Unauthenticated for an invalid token. `response` is the response on which
 * the headers about the operation's cost and limits are set (api/usage.ts).
 */
export type OperationSender = { asker: () => Caller | null; from: IncomingMessage; response?: ServerResponse };

/**
 * Executes one query or mutation. Returns the result of the operation, or the errors of its document. Refuses
 * subscriptions. Every edge except Yoga and the streams calls this to execute the operations of its clients, so that
 * the same rules, limits and headers apply to all operations.
 */
export async function executePrepared(
  { schema, services, mask }: GraphqlOptions,
  { preparation, variables }: { preparation: Preparation; variables: Record<string, unknown> | null },
  sender: OperationSender,
): Promise<ExecutionResult> {
  if ('errors' in preparation) return { errors: preparation.errors.map((error) => mask(error)) };
  if (preparation.operation.operation === OperationTypeNode.SUBSCRIPTION) {
    return { errors: [badRequest('Send subscriptions with accept: text/event-stream.', 406)] };
  }
  const context = createContext(services, { asker: sender.asker, from: sender.from });
  const result = await executeOperation({ schema, operation: preparation, variables, context, mask });
  if (sender.response !== undefined) tellUsage(sender.response, context.usage);
  return result;
}

/**
 * Sends a result as JSON with the given media type. The status follows the specification. It is 200 if there is data or
 * if the client accepts plain JSON; otherwise it is 400. If there is no data, an error with a status of its own
 * determines the status of the response, whatever the client accepts.
 * https://graphql.github.io/graphql-over-http/draft/#sec-Status-Codes
 */
export function sendResult(response: ServerResponse, result: ExecutionResult, mediaType: string): void {
  const own = result.data === undefined ? result.errors?.map(readStatus).find((each) => each !== null) : undefined;
  const status = own ?? (result.data === undefined && mediaType !== 'application/json' ? 400 : 200);
  const told = own === undefined ? result : { ...result, errors: result.errors?.map(withoutStatus) };
  const text = JSON.stringify(told);
  // If Node gets a string and its length, it sends the head and the body in a single write.
  response
    .writeHead(status, {
      'content-type': `${mediaType}; charset=utf-8`,
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      ...describeLimits(result.errors),
    })
    .end(text);
}

function readStatus({ extensions }: GraphQLError): number | null {
  const http = extensions['http'];
  return isRecord(http) && typeof http['status'] === 'number' ? http['status'] : null;
}

/**
 * Returns the error in the form in which a client receives it, without the status, which applies to the response.
 */
export function withoutStatus(error: GraphQLError): GraphQLFormattedError {
  const { http: _, ...extensions } = error.extensions;
  return { ...error.toJSON(), extensions };
}

/** Whether the asker is signed in with a valid token. */
export function isKnown(asker: () => Caller | null): boolean {
  try {
    return asker() !== null;
  } catch {
    return false;
  }
}
