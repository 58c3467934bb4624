import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GraphQLSchema } from 'graphql';
import { createYoga } from 'graphql-yoga';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { createContext, identifyAsker, type Services } from './context.ts';
import { createMask } from './fault.ts';
import { boundDocuments, readCursorFirst, refuseOtherBodies, requestLimits, settleCodes } from './request.ts';

/**
 * Answers queries and mutations on `/graphql` as GraphQL over HTTP says. Subscriptions are refused here: they are an
 * event stream's.
 */
export function createGraphqlServer({
  schema,
  services,
  log,
}: {
  schema: GraphQLSchema;
  services: Services;
  log: Logger;
}) {
  return createYoga<{ req: IncomingMessage; res: ServerResponse }>({
    schema,
    context: async ({ request }) =>
      createContext(services, {
        asker: await identifyAsker(services.accounts, request.headers.get('authorization') ?? undefined),
        userAgent: request.headers.get('user-agent'),
      }),
    plugins: [refuseOtherBodies, boundDocuments, readCursorFirst, settleCodes],
    maskedErrors: { maskError: createMask(log) },
    maxRequestBodySize: requestLimits.maxBodyBytes,
    parserAndValidationCache: { documentCache: createDocumentCache(), errorCache: createDocumentCache() },
    graphiql: false,
    // Told by http/ for all that it serves; what faults are told is the mask's.
    cors: false,
    logging: false,
    landingPage: false,
    batching: false,
    multipart: false,
  });
}

/** Keeps what a program sends again and again; counted by its text, so that odd ones can't fill the memory. */
function createDocumentCache<Value extends object>() {
  return new LRUCache<string, Value>({
    max: 1_000,
    maxSize: 2 * 1024 * 1024,
    maxEntrySize: 16 * 1024,
    sizeCalculation: (_, source) => source.length + 1,
  });
}
