import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { GraphQLError, Kind, type DocumentNode, type GraphQLSchema } from 'graphql';
import { isRecord, parseJson } from '../core/json.ts';
import { CannotStart } from '../errors.ts';
import { readDocument, type TrustedDocuments } from './document.ts';

/** An id that clients can send as `documentId`: see GraphQL over HTTP, appendix A. The prefix is optional. */
const idPattern = /^[A-Za-z0-9._~-]+(:[A-Za-z0-9._~-]+)?$/;

/** The maximum length of a document id. */
const maxIdLength = 256;

/** Returns whether a text has the form of a document id. */
export function isDocumentId(text: string): boolean {
  return text.length <= maxIdLength && idPattern.test(text);
}

/** Returns the SHA-256 hash of a document's text in lower-case hex. */
export function hashDocument(source: string): string {
  return createHash('sha256').update(source).digest('hex');
}

/**
 * Reads a manifest of documents: `{ id: document }`, the format of graphql-codegen and Relay, or Apollo's
 * `apollo-persisted-query-manifest`. Throws a single CannotStart that lists every document that cannot be used, with
 * the reason.
 */
export async function readTrustedDocuments(
  schema: GraphQLSchema,
  { path, isOnly }: { path: string; isOnly: boolean },
): Promise<TrustedDocuments> {
  const problems: string[] = [];
  const texts = new Map<string, string>();
  const documents = new Map<string, DocumentNode>();
  for (const [id, source] of await readEntries(path)) {
    const found = typeof source === 'string' ? readTrusted(schema, id, source) : 'its document is not a text';
    if (typeof found === 'string') problems.push(`${JSON.stringify(id)}: ${found}`);
    else if ((texts.get(id) ?? source) !== source) problems.push(`${JSON.stringify(id)}: the id names two documents`);
    else {
      texts.set(id, found.source).set(hashDocument(found.source), found.source);
      documents.set(found.source, found.document);
    }
  }
  if (problems.length > 0) {
    throw new CannotStart(`TRUSTED_DOCUMENTS: ${path} has documents that cannot be used:\n  ${problems.join('\n  ')}`);
  }
  return { isOnly, texts, documents };
}

/**
 * Returns the ids in the manifest and the value of each id. Throws CannotStart if the file has neither of the two
 * formats.
 */
async function readEntries(path: string): Promise<[string, unknown][]> {
  const manifest = parseJson(await readManifest(path));
  if (!isRecord(manifest)) throw new CannotStart(`TRUSTED_DOCUMENTS: ${path} is not a JSON object.`);
  if (manifest['format'] === undefined) return Object.entries(manifest);
  const { format, version, operations } = manifest;
  if (format !== 'apollo-persisted-query-manifest' || version !== 1 || !Array.isArray(operations)) {
    throw new CannotStart(`TRUSTED_DOCUMENTS: ${path} is not version 1 of an apollo-persisted-query-manifest.`);
  }
  return operations.map((each: unknown, index) => {
    const { id, body } = isRecord(each) ? each : {};
    return [typeof id === 'string' ? id : `operations.${index}`, body];
  });
}

async function readManifest(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new CannotStart(`TRUSTED_DOCUMENTS: cannot read the file: ${(error as Error).message}.`, { cause: error });
  }
}

/** Returns the document, or the reason why it cannot be used. */
function readTrusted(
  schema: GraphQLSchema,
  id: string,
  source: string,
): { source: string; document: DocumentNode } | string {
  if (!isDocumentId(id))
    return 'the id may have letters, digits and . _ ~ - with one colon, and 256 characters at most';
  if (id.startsWith('sha256:') && id !== `sha256:${hashDocument(source)}`)
    return 'the id is not the hash of the document';
  try {
    const { document, errors } = readDocument(schema, source);
    if (errors.length > 0) return errors.map(({ message }) => message).join(' ');
    const operations = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
    if (operations.length === 0) return 'it has no operation';
    return { source, document };
  } catch (error) {
    if (error instanceof GraphQLError) return error.message;
    throw error;
  }
}
