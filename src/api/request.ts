import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';

/** What a request may weigh. A document of this many tokens is far beyond what a person writes. */
export const requestLimits = { maxBodyBytes: 256 * 1024, maxTokens: 2_000 };

/** What Yoga calls a document that it can't run. */
const documentCodes = new Set<unknown>(['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED']);

/** What Yoga calls any other request that it can't read. */
const requestCodes = new Set<unknown>([
  undefined,
  'BAD_REQUEST',
  'OPERATION_RESOLUTION_FAILURE',
  'REQUEST_ENTITY_TOO_LARGE',
]);

/**
 * Gives every error one of our codes, and a request that failed before there was any data, by a fault of ours, the
 * status 500. By the specification a bad document is told with 200 to whoever accepts plain JSON; what is no request
 * at all has a status of its own for everyone.
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
