import type { IncomingMessage, ServerResponse } from 'node:http';
import { getOperationAST, type GraphQLError, type GraphQLSchema, type Source } from 'graphql';
import { createYoga, type Plugin } from 'graphql-yoga';
import type { Caller } from '../core/asker.ts';
import { createContext, type Context, type Services } from './context.ts';
import type { DocumentCache } from './document.ts';
import { badRequest } from './error.ts';
import { executeUnmasked } from './execute.ts';
import { tellLimits } from './limit.ts';
import { requestLimits, settleCodes } from './request.ts';
import { tellUsage } from './usage.ts';

/** The sender of a request, as identified by http/. `isKnown`: whether the sender is signed in. */
export type YogaSender = {
  asker: () => Caller | null;
  isKnown: boolean;
  from: IncomingMessage;
  response: ServerResponse;
};

/** The dependencies that Yoga needs to answer requests. `mask` turns an error into one that the client may see. */
export type YogaOptions = {
  schema: GraphQLSchema;
  documents: DocumentCache;
  services: Services;
  mask: (error: unknown) => GraphQLError;
};

/** Answers a `/graphql` request whose sender is already identified, in every way that GraphQL over HTTP allows. */
export type Yoga = { fetch: (url: string, init: RequestInit, sender: YogaSender) => Response | Promise<Response> };

/**
 * Creates the server for those queries and mutations on `/graphql` that http/ does not answer itself. The server
 * follows GraphQL over HTTP. It shares the document cache and the executor with http/. It refuses subscriptions, which
 * need an event stream.
 */
export function createGraphqlServer(options: YogaOptions): Yoga {
  const { schema, documents, services, mask } = options;
  return createYoga<YogaSender>({
    schema,
    context: ({ asker, from }) => createContext(services, { asker, from }),
    plugins: [refuseBrokenQueryStrings, readByCache(documents), executeByOurs(schema), settleCodes, tellLimits],
    maskedErrors: { maskError: mask },
    maxRequestBodySize: requestLimits.maxBodyBytes,
    // `documents` is the only cache, so Yoga's own cache is off.
    parserAndValidationCache: false,
    graphiql: false,
    // http/ sets the CORS headers of everything that it serves, and `mask` logs faults.
    cors: false,
    logging: false,
    landingPage: false,
    batching: false,
    multipart: false,
  });
}

function readByCache(documents: DocumentCache): Plugin<YogaSender> {
  return {
    onParse: ({ context, setParseFn }) => {
      setParseFn((source: string | Source) =>
        documents.parse(typeof source === 'string' ? source : source.body, context),
      );
    },
    onValidate: ({ params, setResult }) => setResult([...documents.validate(params.documentAST)]),
  };
}

function executeByOurs(schema: GraphQLSchema): Plugin<Context & YogaSender> {
  return {
    onExecute: ({ args, setExecuteFn }) => {
      setExecuteFn(async () => {
        const operation = getOperationAST(args.document, args.operationName);
        if (operation == null) return { errors: [badRequest('The document has no such operation.', 400)] };
        const context: Context & YogaSender = args.contextValue;
        const result = await executeUnmasked({
          schema,
          operation: { document: args.document, operation },
          variables: args.variableValues ?? null,
          context,
        });
        tellUsage(context.response, context.usage);
        return result;
      });
    },
    onSubscribe: () => {
      throw badRequest('Send subscriptions with accept: text/event-stream.', 406);
    },
  };
}

const refuseBrokenQueryStrings: Plugin = {
  onRequestParse: ({ request, requestParser, setRequestParser }) => {
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
