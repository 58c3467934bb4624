import { isRecord, parseJson } from '../core/json.ts';
import type { DocumentCache, Preparation, Sender } from '../api/document.ts';
import { prepareDocument, selectDocument, type DocumentChoice } from '../api/stored-document.ts';
import { isDocumentId } from '../api/trusted-document.ts';
import { HttpError } from './http-error.ts';

/**
 * One operation as a client requests it. `query` is null if the client only names a document, by its id or by the hash
 * in `extensions.persistedQuery`.
 */
export type GraphqlParams = {
  query: string | null;
  documentId: string | null;
  variables: Record<string, unknown> | null;
  operationName: string | null;
  extensions: Record<string, unknown> | null;
};

const knownParams = new Set(['query', 'documentId', 'operationName', 'variables', 'extensions']);

/** Reads the parameters of one operation from a JSON body. Throws HttpError 400 if the body is anything else. */
export function readParams(raw: unknown): GraphqlParams {
  if (!isRecord(raw)) throw new HttpError(400, 'The body must be a JSON object.');
  const unknown = Object.keys(raw).find((name) => !knownParams.has(name) && raw[name] != null);
  if (unknown !== undefined)
    throw new HttpError(400, 'The request has parameters that GraphQL over HTTP does not define.');
  const extensions = readRecord(raw['extensions'], 'extensions');
  const documentId = readDocumentId(raw['documentId']);
  return {
    query: readQuery(raw['query'], documentId !== null || isRecord(extensions?.['persistedQuery'])),
    documentId,
    variables: readRecord(raw['variables'], 'variables'),
    operationName: readOperationName(raw['operationName']),
    extensions,
  };
}

/**
 * Reads the parameters of one operation from the query string of a GET. Throws HttpError 400 if the body is anything
 * else.
 */
export function readQueryString(search: URLSearchParams): GraphqlParams {
  return readParams({
    query: search.get('query'),
    documentId: search.get('documentId'),
    operationName: search.get('operationName'),
    variables: readJsonParam(search, 'variables'),
    extensions: readJsonParam(search, 'extensions'),
  });
}

/** Prepares the operation that the parameters select; returns the document's errors if it is not valid. */
export function prepareParams(documents: DocumentCache, params: GraphqlParams, sender: Sender): Preparation {
  return prepareDocument(documents, { ...choiceOf(params), operationName: params.operationName }, sender);
}

/**
 * Returns the parameters with the text of the document instead of its id, for another node, which may not know the id.
 * If this node does not know the id either, returns the parameters unchanged.
 */
export function expandParams(documents: DocumentCache, params: GraphqlParams): GraphqlParams {
  const selection = selectDocument(documents, choiceOf(params));
  return 'errors' in selection ? params : { ...params, query: selection.source, documentId: null };
}

/** Returns whether the parameters name a document by its id or its hash. */
export function namesDocument({ query, documentId, extensions }: GraphqlParams): boolean {
  return query === null || documentId !== null || extensions?.['persistedQuery'] !== undefined;
}

function choiceOf({ query, documentId, extensions }: GraphqlParams): DocumentChoice {
  const given = documentId?.startsWith('sha256:') ? documentId.slice('sha256:'.length) : null;
  return { query, documentId, hash: given ?? readAutomaticHash(extensions) };
}

/**
 * Returns the hash in Apollo's automatic persisted queries, or null if there is none or if it is not for version 1 of
 * that protocol.
 */
function readAutomaticHash(extensions: Record<string, unknown> | null): string | null {
  const persistedQuery = extensions?.['persistedQuery'];
  if (!isRecord(persistedQuery) || persistedQuery['version'] !== 1) return null;
  const hash = persistedQuery['sha256Hash'];
  return typeof hash === 'string' && /^[0-9a-f]{64}$/i.test(hash) ? hash.toLowerCase() : null;
}

function readQuery(query: unknown, isNamed: boolean): string | null {
  if (typeof query === 'string' && query !== '') return query;
  if ((query == null || query === '') && isNamed) return null;
  throw new HttpError(400, 'The parameter `query` is missing.');
}

/** Reads a document's id. An empty id counts as absent. */
function readDocumentId(value: unknown): string | null {
  if (value == null || value === '') return null;
  if (typeof value === 'string' && isDocumentId(value)) return value;
  throw new HttpError(
    400,
    '`documentId` must be `sha256:` with the hash of the document in hex, or an id from the manifest.',
  );
}

/** Reads the name of an operation, which must be a GraphQL Name. An empty name counts as absent. */
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
