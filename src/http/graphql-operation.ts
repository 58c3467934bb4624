import { OperationTypeNode, type GraphQLError, type GraphQLSchema } from 'graphql';
import type { Services } from '../api/context.ts';
import type { DocumentCache, PreparedOperation } from '../api/document.ts';
import type { Handler } from './respond.ts';

export type GraphqlOptions = {
  schema: GraphQLSchema;
  documents: DocumentCache;
  services: Services;
  mask: (error: unknown) => GraphQLError;
  /** Answers everything in every way that GraphQL over HTTP knows: Yoga. */
  yoga: Handler & { fetch: (url: string, init: RequestInit) => Response | Promise<Response> };
};

const knownParams = new Set(['query', 'operationName', 'variables', 'extensions']);

/**
 * The query or mutation that a request's parameters name, or what is wrong with its document; null for a subscription
 * and for what are no parameters of a single operation.
 */
export function readOperation(
  documents: DocumentCache,
  params: unknown,
): { operation: PreparedOperation; variables: Record<string, unknown> | null } | { errors: GraphQLError[] } | null {
  if (!isRecord(params) || typeof params['query'] !== 'string') return null;
  if (!Object.keys(params).every((name) => knownParams.has(name))) return null;
  const { operationName = null, variables = null, extensions = null } = params;
  if (operationName !== null && typeof operationName !== 'string') return null;
  if ((variables !== null && !isRecord(variables)) || (extensions !== null && !isRecord(extensions))) return null;
  const operation = documents.prepare(params['query'], operationName);
  if ('errors' in operation) return operation;
  return operation.operation.operation === OperationTypeNode.SUBSCRIPTION ? null : { operation, variables };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
