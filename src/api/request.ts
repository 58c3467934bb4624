import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  Kind,
  NoFragmentCyclesRule,
  parse,
  type Source,
  specifiedRules,
  validate,
  type ValidationRule,
  visit,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Context } from './context.ts';

/** What a request may weigh. A document of this many tokens is far beyond what a person writes. */
export const requestLimits = { maxBodyBytes: 256 * 1024, maxTokens: 2_000 };

/** A request that can't be served as it is: told with this status, whatever media type the client accepts. */
function badRequest(message: string, status: number, headers: Record<string, string> = {}): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_REQUEST', http: { status, headers } } });
}

/** Parses a document of at most `maxTokens` tokens. Throws a GraphQLError for any other text. */
export function parseDocument(source: string | Source): DocumentNode {
  return parse(source, { maxLexicalTokens: requestLimits.maxTokens });
}

/** What is wrong with a document. Circles of fragments are looked for first: the other rules lose their way in them. */
export function validateDocument(
  schema: GraphQLSchema,
  document: DocumentNode,
  rules: readonly ValidationRule[] = specifiedRules,
): readonly GraphQLError[] {
  const circles = validate(schema, document, [NoFragmentCyclesRule]);
  return circles.length > 0 ? circles : validate(schema, document, rules);
}

/**
 * Only JSON comes in by POST. What a browser's form can send to another origin without asking first (a form, plain
 * text) is refused, and so nobody is made to send anything by a page that they visit.
 */
export const refuseOtherBodies: Plugin = {
  onRequestParse: ({ request, requestParser, setRequestParser }) => {
    if (request.method === 'POST' && !/^application\/(graphql\+)?json *(;|,|$)/i.test(contentType(request))) {
      throw badRequest('Send a POST body as content-type: application/json.', 415, { accept: 'application/json' });
    }
    if (request.method !== 'GET' || requestParser === undefined) return;
    setRequestParser(async (readRequest) => {
      try {
        return await requestParser(readRequest);
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        throw badRequest('The variables and extensions in the query string must be JSON.', 400);
      }
    });
  },
};

function contentType(request: Request): string {
  return request.headers.get('content-type') ?? '';
}

/** Documents are parsed with a limit; a subscription belongs to an event stream, and is told where that is. */
export const boundDocuments: Plugin = {
  onParse: ({ setParseFn }) => setParseFn(parseDocument),
  onValidate: ({ setValidationFn }) => setValidationFn(validateDocument),
  onSubscribe: () => {
    throw badRequest('Ask for a subscription with accept: text/event-stream.', 406);
  },
};

const asksForCursor = new WeakMap<DocumentNode, boolean>();

/** Whether the document has a field of that name anywhere: an operation that might ask for it is read as if it did. */
export function mentionsEventCursor(document: DocumentNode): boolean {
  const known = asksForCursor.get(document);
  if (known !== undefined) return known;
  let found = false;
  visit(document, { [Kind.FIELD]: ({ name }) => void (found ||= name.value === 'eventCursor') });
  asksForCursor.set(document, found);
  return found;
}

/** Reads the log's cursor before anything else of the operation, so that `events(after:)` goes on without a gap. */
export const readCursorFirst: Plugin<Context> = {
  onExecute: async ({ args }) => {
    const context: Context = args.contextValue;
    if (mentionsEventCursor(args.document)) context.eventCursor = await context.readCursor();
  },
};

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
