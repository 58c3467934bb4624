import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';

/** The limits on a request. A document with this many tokens is far larger than any that a person writes. */
export const requestLimits = { maxBodyBytes: 256 * 1024, maxTokens: 2_000 };

/** Yoga's codes for a document that it cannot run. */
const documentCodes = new Set<unknown>(['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED']);

/** Yoga's codes for any other request that it cannot read. */
const requestCodes = new Set<unknown>([
  undefined,
  'BAD_REQUEST',
  'OPERATION_RESOLUTION_FAILURE',
  'REQUEST_ENTITY_TOO_LARGE',
]);

/**
 * Gives every error one of this API's codes, and gives the status 500 to a request that failed through the server's
 * fault before it produced any data. According to the specification, clients that accept plain JSON get status 200 for
 * a bad document, while a request that is not GraphQL at all gets the same error status whatever the client accepts.
 */
export const settleCodes: Plugin = {
  onResultProcess: (answer) => {
    const { result } = answer;
    if (Array.isArray(result) || !('errors' in result) || result.errors === undefined) return;
    const errors = result.errors.map(settleCode);
    const hasFailed = result.data === undefined && errors.some(({ extensions }) => extensions['code'] === 'INTERNAL');
    answer.setResult({ ...result, errors, ...(hasFailed && { extensions: { http: { status: 500 } } }) });
  },
};

function settleCode(error: GraphQLError): GraphQLError {
  const { code, originalError: _, ...extensions } = error.extensions;
  if (documentCodes.has(code)) return retell(error, { ...extensions, code: 'BAD_REQUEST' });
  if (!requestCodes.has(code)) return error;
  const http = extensions.http === undefined ? {} : { http: { ...extensions.http, spec: false } };
  return retell(error, { ...extensions, ...http, code: 'BAD_REQUEST' });
}

function retell(error: GraphQLError, extensions: GraphQLError['extensions']): GraphQLError {
  return new GraphQLError(error.message, {
    nodes: error.nodes ?? null,
    source: error.source,
    positions: error.positions,
    path: error.path,
    extensions,
  });
}
