import { GraphQLError } from 'graphql';
import {
  ExpectedError,
  InvalidInput,
  IssuerUnavailable,
  RateLimited,
  StoreFull,
  StoreUnavailable,
  TooLarge,
  Unauthenticated,
} from '../errors.ts';

/**
 * Converts an error that no result union covers into the error that the client receives. An expected failure keeps its
 * code, with two exceptions: invalid input gets BAD_REQUEST, as a malformed request does, and a failure of the file
 * store or of an issuer gets INTERNAL. Returns null for a server fault, which the caller logs in full.
 */
export function toClientError(error: unknown): GraphQLError | null {
  if (error instanceof GraphQLError) {
    // graphql-js wraps errors that resolvers throw. An error without an original error is about the request itself.
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
  // The failure was already logged where it happened. Its message tells the client to try again.
  if (error instanceof StoreUnavailable || error instanceof StoreFull || error instanceof IssuerUnavailable) {
    return new GraphQLError(error.message, { extensions: { code: 'INTERNAL' } });
  }
  if (error instanceof InvalidInput) return new GraphQLError(error.message, { extensions: { code: 'BAD_REQUEST' } });
  if (error instanceof ExpectedError) return new GraphQLError(error.message, { extensions: { code: error.code } });
  return null;
}

/** Returns the error that the client receives in place of a server fault. */
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

/** Returns the same error, with the path at which graphql-js caught it. */
function at(place: GraphQLError, error: GraphQLError): GraphQLError {
  return new GraphQLError(error.message, {
    nodes: place.nodes ?? null,
    source: place.source,
    positions: place.positions,
    path: place.path,
    extensions: error.extensions,
  });
}

/**
 * Creates the error for a request that cannot be served. The response has this status, regardless of the media type
 * that the client accepts.
 */
export function badRequest(message: string, status: number, headers: Record<string, string> = {}): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_REQUEST', http: { status, headers } } });
}
