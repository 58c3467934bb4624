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
import { isRecord } from '../core/json.ts';
import type { Asker } from '../core/asker.ts';

/** What operations need of the server. */
export type GraphqlOptions = {
  schema: GraphQLSchema;
  documents: DocumentCache;
  services: Services;
  /** What a client may learn of an error; see api/fault.ts. */
  mask: (error: unknown) => GraphQLError;
};

/** Who sends it. `asker` throws Unauthenticated for a token that is not good. */
export type OperationSender = { asker: () => Asker | null; from: IncomingMessage };

/** The result of one query or mutation, or what is wrong with it. A subscription is refused. */
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
  return executeOperation({ schema, operation: preparation, variables, context, mask });
}

/**
 * Sends a result as JSON of that media type. The status is by the specification's rules: 200 with data, and for whoever
 * takes plain JSON; otherwise 400; an error that has a status of its own has it for everyone.
 * https://graphql.github.io/graphql-over-http/draft/#sec-Status-Codes
 */
export function sendResult(response: ServerResponse, result: ExecutionResult, mediaType: string): void {
  const own = result.data === undefined ? result.errors?.map(readStatus).find((each) => each !== null) : undefined;
  const status = own ?? (result.data === undefined && mediaType !== 'application/json' ? 400 : 200);
  const told = own === undefined ? result : { ...result, errors: result.errors?.map(withoutStatus) };
  const text = JSON.stringify(told);
  // As a string, and with its length: Node then sends head and body in one write.
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

/** The error as a client gets it: the status is for the response. */
export function withoutStatus(error: GraphQLError): GraphQLFormattedError {
  const { http: _, ...extensions } = error.extensions;
  return { ...error.toJSON(), extensions };
}

/** Whether the asker is signed in, with a token that is good. */
export function isKnown(asker: () => Asker | null): boolean {
  try {
    return asker() !== null;
  } catch {
    return false;
  }
}
