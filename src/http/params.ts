import { GraphQLError } from 'graphql';
import { isRecord, parseJson } from '../core/json.ts';
import type { DocumentCache, Preparation, Sender } from '../api/document.ts';
import { HttpError } from './http-error.ts';

/** One operation as a client requests it. `query` is null where the client only names a document: a persisted query. */
export type GraphqlParams = {
  query: string | null;
  variables: Record<string, unknown> | null;
  operationName: string | null;
  extensions: Record<string, unknown> | null;
};

const knownParams = new Set(['query', 'operationName', 'variables', 'extensions']);

/** Reads the parameters of one operation from a JSON body. Throws HttpError 400 for anything else. */
export function readParams(raw: unknown): GraphqlParams {
  if (!isRecord(raw)) throw new HttpError(400, 'The body must be a JSON object.');
  const unknown = Object.keys(raw).find((name) => !knownParams.has(name) && raw[name] != null);
  if (unknown !== undefined)
    throw new HttpError(400, 'The request has parameters that GraphQL over HTTP does not define.');
  const extensions = readRecord(raw['extensions'], 'extensions');
  return {
    query: readQuery(raw['query'], extensions),
    variables: readRecord(raw['variables'], 'variables'),
    operationName: readOperationName(raw['operationName']),
    extensions,
  };
}

/** Reads the parameters of one operation from the query string of a GET. Throws HttpError 400 for anything else. */
export function readQueryString(search: URLSearchParams): GraphqlParams {
  return readParams({
    query: search.get('query'),
    operationName: search.get('operationName'),
    variables: readJsonParam(search, 'variables'),
    extensions: readJsonParam(search, 'extensions'),
  });
}

/** Prepares the operation that the parameters select; returns its errors when the document is not valid. */
export function prepareParams(
  documents: DocumentCache,
  { query, operationName }: GraphqlParams,
  sender: Sender,
): Preparation {
  return query === null ? { errors: [persistedQueryNotSupported()] } : documents.prepare(query, operationName, sender);
}

/**
 * This error makes the persisted-query links of Apollo and urql send the whole document, now and in all later requests.
 */
function persistedQueryNotSupported(): GraphQLError {
  return new GraphQLError('PersistedQueryNotSupported', {
    extensions: { code: 'PERSISTED_QUERY_NOT_SUPPORTED', http: { status: 200 } },
  });
}

function readQuery(query: unknown, extensions: Record<string, unknown> | null): string | null {
  if (typeof query === 'string' && query !== '') return query;
  if ((query == null || query === '') && isRecord(extensions?.['persistedQuery'])) return null;
  throw new HttpError(400, 'The parameter `query` is missing.');
}

/** A GraphQL Name; an empty one counts as absent. */
function readOperationName(value: unknown): string | null {
  if (value == null || value === '') return null;
  if (typeof value === 'string' && /^[_A-Za-z][_0-9A-Za-z]*$/.test(value)) return value;
  throw new HttpError(400, '`operationName` must be the name of an operation.');
}

function readRecord(value: unknown, name: string): Record<string, unknown> | null {
  if (value == null) return null;
  if (!isRecord(value)) throw new HttpError(400, `\`${name}\` must be an object.`);
  return value;
}

function readJsonParam(search: URLSearchParams, name: string): unknown {
  const text = search.get(name);
  if (text === null || text === '') return null;
  const json = parseJson(text);
  if (json === undefined) throw new HttpError(400, 'The variables and extensions in the query string must be JSON.');
  return json;
}
