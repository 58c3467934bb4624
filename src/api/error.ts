import { GraphQLError } from 'graphql';
import {
  ExpectedError,
  InvalidInput,
  RateLimited,
  StoreFull,
  StoreUnavailable,
  TooLarge,
  Unauthenticated,
} from '../errors.ts';

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
    const { message, retryAfterSeconds, reached } = error;
    return new GraphQLError(message, { extensions: { code: 'RATE_LIMITED', retryAfterSeconds, ...reached } });
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
  const masked = new GraphQLError('Internal server error.', { extensions: { code: 'INTERNAL' } });
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

/** A request that cannot be served as it is: answered with this status, whatever media type the client accepts. */
export function badRequest(message: string, status: number, headers: Record<string, string> = {}): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_REQUEST', http: { status, headers } } });
}
