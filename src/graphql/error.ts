import { GraphQLError } from 'graphql';
import {
  Conflict,
  ExpectedError,
  Forbidden,
  InvalidCredentials,
  InvalidInput,
  LastOwner,
  NotFound,
  RateLimited,
  StoreFull,
  StoreUnavailable,
  TooLarge,
  Unauthenticated,
} from '../errors.ts';
import { builder } from './builder.ts';

const ErrorCodeRef = builder.enumType('ErrorCode', {
  values: ['INVALID_INPUT', 'INVALID_CREDENTIALS', 'NOT_FOUND', 'FORBIDDEN', 'CONFLICT', 'LAST_OWNER'] as const,
});

const ErrorRef = builder.interfaceRef<ExpectedError>('Error').implement({
  description:
    'An expected failure. Broken requests (no token, rate limit, bad syntax) are top-level errors instead, with extensions.code.',
  fields: (t) => ({
    code: t.expose('code', { type: ErrorCodeRef }),
    message: t.exposeString('message'),
  }),
});

const FieldErrorRef = builder.objectRef<InvalidInput['fields'][number]>('FieldError').implement({
  fields: (t) => ({
    path: t.exposeStringList('path', { description: 'Path within the input, e.g. ["email"].' }),
    message: t.exposeString('message'),
  }),
});

builder.objectType(InvalidInput, {
  name: 'InvalidInput',
  interfaces: [ErrorRef],
  fields: (t) => ({
    fields: t.expose('fields', {
      type: [FieldErrorRef],
      description: 'One entry for every input field that was refused.',
    }),
  }),
});
builder.objectType(InvalidCredentials, { name: 'InvalidCredentials', interfaces: [ErrorRef] });
builder.objectType(NotFound, {
  name: 'NotFound',
  description: 'Also what a viewer gets for a thing that exists and is hidden from them.',
  interfaces: [ErrorRef],
});
builder.objectType(Forbidden, { name: 'Forbidden', interfaces: [ErrorRef] });
builder.objectType(Conflict, { name: 'Conflict', interfaces: [ErrorRef] });
builder.objectType(LastOwner, { name: 'LastOwner', interfaces: [ErrorRef] });

/**
 * What a client may learn of a thrown error that no result union took: the broken request by its code, everything else
 * as INTERNAL and no more. Returns null for a fault of ours, which the caller logs whole.
 */
export function toClientError(error: unknown): GraphQLError | null {
  if (error instanceof GraphQLError) {
    // graphql-js wraps what a resolver threw; without an original it is about the request itself.
    if (error.originalError == null) return withCode(error, 'BAD_REQUEST');
    const original = toClientError(error.originalError);
    return original === null ? null : at(error, original);
  }
  if (error instanceof Unauthenticated)
    return new GraphQLError(error.message, { extensions: { code: 'UNAUTHENTICATED' } });
  if (error instanceof RateLimited) {
    return new GraphQLError(error.message, {
      extensions: { code: 'RATE_LIMITED', retryAfterSeconds: error.retryAfterSeconds },
    });
  }
  if (error instanceof TooLarge) return new GraphQLError(error.message, { extensions: { code: 'BAD_REQUEST' } });
  // The store has logged it; the client learns that it may try again.
  if (error instanceof StoreUnavailable || error instanceof StoreFull) {
    return new GraphQLError(error.message, { extensions: { code: 'INTERNAL' } });
  }
  if (error instanceof InvalidInput) return new GraphQLError(error.message, { extensions: { code: 'BAD_REQUEST' } });
  if (error instanceof ExpectedError) return new GraphQLError(error.message, { extensions: { code: error.code } });
  return null;
}

/** What the client gets in place of a fault of ours. */
export function internalError(error: unknown): GraphQLError {
  const masked = new GraphQLError('Something went wrong on our side.', { extensions: { code: 'INTERNAL' } });
  return error instanceof GraphQLError ? at(error, masked) : masked;
}

function withCode(error: GraphQLError, code: string): GraphQLError {
  if (error.extensions['code'] !== undefined) return error;
  return new GraphQLError(error.message, {
    nodes: error.nodes ?? null,
    source: error.source,
    positions: error.positions,
    path: error.path,
    extensions: { ...error.extensions, code },
  });
}

/** The same error, told at the place where graphql-js met it. */
function at(place: GraphQLError, error: GraphQLError): GraphQLError {
  return new GraphQLError(error.message, {
    nodes: place.nodes ?? null,
    source: place.source,
    positions: place.positions,
    path: place.path,
    extensions: error.extensions,
  });
}
