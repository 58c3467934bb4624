import type { IncomingMessage, ServerResponse } from 'node:http';
import { getOperationAST, type GraphQLError, type GraphQLSchema, type Source } from 'graphql';
import { createYoga, type Plugin } from 'graphql-yoga';
import type { Asker } from '../core/asker.ts';
import { createContext, type Context, type Services } from './context.ts';
import type { DocumentCache } from './document.ts';
import { badRequest } from './error.ts';
import { executeUnmasked } from './execute.ts';
import { tellLimits } from './limit.ts';
import { requestLimits, settleCodes } from './request.ts';

/** Who sends a request, as http/ has found out already. `isKnown`: someone who is signed in. */
export type YogaSender = {
  asker: () => Asker | null;
  isKnown: boolean;
  from: IncomingMessage;
  response: ServerResponse;
};

export type YogaOptions = {
  schema: GraphQLSchema;
  documents: DocumentCache;
  services: Services;
  mask: (error: unknown) => GraphQLError;
};

/** Answers a request for `/graphql` whose sender is known, in every way that GraphQL over HTTP allows. */
export type Yoga = { fetch: (url: string, init: RequestInit, sender: YogaSender) => Response | Promise<Response> };

/**
 * Answers queries and mutations on `/graphql` as GraphQL over HTTP says: what http/ does not answer itself. Documents are
 * read by the one cache and operations executed by the one executor. Subscriptions are refused: they are an event stream's.
 */
export function createGraphqlServer(options: YogaOptions): Yoga {
  const { schema, documents, services, mask } = options;
  return createYoga<YogaSender>({
    schema,
    context: ({ asker, from }) => createContext(services, { asker, from }),
    plugins: [refuseBrokenQueryStrings, readByCache(documents), executeByOurs(schema), settleCodes, tellLimits],
    maskedErrors: { maskError: mask },
    maxRequestBodySize: requestLimits.maxBodyBytes,
    // `documents` is the one cache.
    parserAndValidationCache: false,
    graphiql: false,
    // Told by http/ for all that it serves; what faults are told is the mask's.
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

function executeByOurs(schema: GraphQLSchema): Plugin<Context> {
  return {
    onExecute: ({ args, setExecuteFn }) => {
      setExecuteFn(() => {
        const operation = getOperationAST(args.document, args.operationName);
        if (operation == null) return { errors: [badRequest('There is no such operation.', 400)] };
        return executeUnmasked({
          schema,
          operation: { document: args.document, operation },
          variables: args.variableValues ?? null,
          context: args.contextValue,
        });
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
