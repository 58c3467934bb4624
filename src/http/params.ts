import { GraphQLError } from 'graphql';
import { isRecord, parseJson } from '../core/json.ts';
import type { DocumentCache, Preparation, Sender } from '../api/document.ts';
import { HttpError } from './http-error.ts';

/** What a client asks to have executed. `query` is null where it only names a document: a persisted query. */
export type GraphqlParams = {
  query: string | null;
  variables: Record<string, unknown> | null;
  operationName: string | null;
  extensions: Record<string, unknown> | null;
};

const knownParams = new Set(['query', 'operationName', 'variables', 'extensions']);

/** The parameters of one operation, as a JSON body has them. Throws HttpError 400 for anything else. */
export function readParams(raw: unknown): GraphqlParams {
  if (!isRecord(raw)) throw new HttpError(400, 'The body must be a JSON object.');
  const unknown = Object.keys(raw).find((name) => !knownParams.has(name) && raw[name] != null);
  if (unknown !== undefined) throw new HttpError(400, 'There are parameters other than those of GraphQL over HTTP.');
  const extensions = readRecord(raw['extensions'], 'extensions');
  return {
    query: readQuery(raw['query'], extensions),
    variables: readRecord(raw['variables'], 'variables'),
    operationName: readOperationName(raw['operationName']),
    extensions,
  };
}

/** The same, from the query string of a GET. */
export function readQueryString(search: URLSearchParams): GraphqlParams {
  return readParams({
    query: search.get('query'),
    operationName: search.get('operationName'),
    variables: readJsonParam(search, 'variables'),
    extensions: readJsonParam(search, 'extensions'),
  });
}

/** The operation that the parameters ask for, or what is wrong with its document. */
export function prepareParams(
  documents: DocumentCache,
  { query, operationName }: GraphqlParams,
  sender: Sender,
): Preparation {
  return query === null ? { errors: [persistedQueryNotSupported()] } : documents.prepare(query, operationName, sender);
}

/** On this, the links for persisted queries of Apollo and urql send the whole document, from then on at once. */
function persistedQueryNotSupported(): GraphQLError {
  return new GraphQLError('PersistedQueryNotSupported', {
    extensions: { code: 'PERSISTED_QUERY_NOT_SUPPORTED', http: { status: 200 } },
  });
}

function readQuery(query: unknown, extensions: Record<string, unknown> | null): string | null {
  if (typeof query === 'string' && query !== '') return query;
  if ((query == null || query === '') && isRecord(extensions?.['persistedQuery'])) return null;
  throw new HttpError(400, 'There is no `query`.');
}

/** A Name of GraphQL; one that is empty counts as none given. */
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
