import { createSourceEventStream, GraphQLError, Kind, OperationTypeNode, type GraphQLSchema } from 'graphql';
import { ExpectedError, Forbidden, InvalidInput, type FieldError } from '../errors.ts';
import { hasUser } from '../core/asker.ts';
import { createContext, requireCaller, type Context } from './context.ts';
import { DocumentCache, type PreparedOperation } from './document.ts';
import { judgeSize } from './measure.ts';
import { judgeScopes } from './scope.ts';

/** A subscription that the server is asked to run on the caller's behalf. */
export type KeptSubscriptionInput = { document: string; variables: Record<string, unknown> | null };

/**
 * Checks a subscription that the server is asked to run on the caller's behalf. The document must contain exactly one
 * valid subscription, which the caller may open and which is within the limits for streams. Throws InvalidInput for a
 * bad `document` or bad `variables`, and passes on any error from opening the subscription, such as NotFound for a chat
 * that the caller cannot see.
 */
export async function checkKeptSubscription(
  context: Context,
  schema: GraphQLSchema,
  { document, variables }: KeptSubscriptionInput,
): Promise<void> {
  const operation = prepare(schema, document);
  const { refusal, measure } = judgeSize(schema, operation, variables);
  if (refusal !== null) throw refuse('document', 'NOT_ALLOWED', refusal.message);
  if (measure === null) throw refuse('variables', 'MALFORMED', 'do not fit the document');
  const unscoped = judgeScopes(schema, operation, context);
  if (unscoped !== null) throw new Forbidden(unscoped.message);
  const source = await createSourceEventStream({
    schema,
    document: operation.document,
    variableValues: variables ?? {},
    contextValue: createContext(context, { asker: context.asker }),
  });
  if (Symbol.asyncIterator in source) return;
  const [error] = source.errors ?? [];
  if (error?.originalError instanceof Forbidden && !hasUser(requireCaller(context))) throw new Forbidden(userless);
  if (error?.originalError instanceof ExpectedError) throw error.originalError;
  if (error?.originalError != null) throw error.originalError;
  throw refuse('variables', 'MALFORMED', error?.message ?? 'do not fit the document');
}

/** The error that the subscription throws would suggest a header that is also refused here. */
const userless =
  'A server key has no events of its own: subscribe to `allEvents` with the scope MESSAGES_READ, or use a bot key.';

function prepare(schema: GraphQLSchema, document: string): PreparedOperation {
  // Does not use the server's cache, because a refused document would evict others from it.
  const preparation = new DocumentCache(schema).prepare(document, null, { isKnown: true });
  if ('errors' in preparation) {
    const [error] = preparation.errors;
    throw refuse('document', 'MALFORMED', (error ?? new GraphQLError('is not valid')).message);
  }
  const operations = preparation.document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  if (operations.length !== 1 || preparation.operation.operation !== OperationTypeNode.SUBSCRIPTION) {
    throw refuse('document', 'NOT_ALLOWED', 'must be one subscription');
  }
  return preparation;
}

function refuse(field: 'document' | 'variables', code: FieldError['code'], message: string): InvalidInput {
  return new InvalidInput([{ path: [field], code, message: message.slice(0, maxMessageLength) }]);
}

/** A message from graphql-js may quote the document. */
const maxMessageLength = 300;
