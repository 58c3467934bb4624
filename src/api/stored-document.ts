import { GraphQLError } from 'graphql';
import type { DocumentCache, Preparation, Sender } from './document.ts';
import { badRequest } from './error.ts';
import { hashDocument } from './trusted-document.ts';

/**
 * How a request names its document: by its text, by its id in the manifest or its hash (`documentId`), or by the hash
 * that Apollo's automatic persisted queries use. `hash` is the SHA-256 hash in hex, whichever of these two ways the
 * request uses to give it.
 */
export type DocumentChoice = { query: string | null; documentId: string | null; hash: string | null };

/** The text of the document that a request selects, or the errors of the request. */
export type Selection = { source: string } | { errors: readonly GraphQLError[] };

/**
 * Finds the text of the document that a request selects. If there is no text, the errors are those of Apollo's
 * protocol, so that clients send the text when the server does not know the hash.
 */
export function selectDocument(documents: DocumentCache, { query, documentId, hash }: DocumentChoice): Selection {
  const { trusted } = documents;
  if (query === null) {
    const id = hash ?? documentId;
    if (id === null) return { errors: [notSupported()] };
    const source = trusted?.texts.get(id) ?? documents.findRegistered(id);
    if (source === null || (trusted?.isOnly && !trusted.documents.has(source)))
      return { errors: [notFound(documentId === null)] };
    return { source };
  }
  if (hash !== null && hashDocument(query) !== hash) return { errors: [mismatch()] };
  if (hash === null && documentId !== null && trusted?.texts.get(documentId) !== query) return { errors: [mismatch()] };
  if (trusted?.isOnly && !trusted.documents.has(query)) return { errors: [untrusted()] };
  return { source: query };
}

/**
 * Prepares the operation that a request selects. If a signed-in user sends a document together with its hash, registers
 * the text under that hash, provided that the document is valid.
 */
export function prepareDocument(
  documents: DocumentCache,
  choice: DocumentChoice & { operationName: string | null },
  sender: Sender,
): Preparation {
  const selection = selectDocument(documents, choice);
  if ('errors' in selection) return selection;
  const preparation = documents.prepare(selection.source, choice.operationName, sender);
  const { query, hash } = choice;
  if (query !== null && hash !== null && sender.isKnown && !('errors' in preparation)) documents.register(hash, query);
  return preparation;
}

/** Apollo's and urql's clients respond to this error by sending the text and the hash together. */
function notFound(isAutomatic: boolean): GraphQLError {
  return new GraphQLError('PersistedQueryNotFound', {
    extensions: { code: 'PERSISTED_QUERY_NOT_FOUND', ...(isAutomatic && { http: { status: 200 } }) },
  });
}

/** This error makes Apollo's and urql's clients send the whole document, in this and in all later requests. */
function notSupported(): GraphQLError {
  return new GraphQLError('PersistedQueryNotSupported', {
    extensions: { code: 'PERSISTED_QUERY_NOT_SUPPORTED', http: { status: 200 } },
  });
}

function mismatch(): GraphQLError {
  return badRequest('`query` is not the document that the id or the hash of the request names.', 400);
}

function untrusted(): GraphQLError {
  return badRequest(
    'This server runs only the documents that its operator trusts: send the `documentId` of one of them.',
    400,
  );
}
