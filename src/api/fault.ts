import type { GraphQLError } from 'graphql';
import type { Logger } from 'pino';
import { noMetrics, type Metrics } from '../core/metric.ts';
import { describeFault, StoreFull } from '../errors.ts';
import { internalError, toClientError } from './error.ts';

/** Logged for each upload that is refused because a disk is full, however it was sent. */
export const diskIsFull = 'a disk is full: an upload was refused';

/**
 * Creates the function that turns an error of an execution into the one that the client receives: expected errors by
 * their code, a fault of the server as INTERNAL after logging it.
 */
export function createMask(log: Logger, metrics: Metrics = noMetrics): (error: unknown) => GraphQLError {
  return (error) => {
    const told = toClientError(error);
    // The client receives this error, but only an operator can act on it.
    if (originOf(error) instanceof StoreFull) log.error(diskIsFull);
    if (told !== null) return told;
    const masked = internalError(error);
    metrics.count('internalErrors', {});
    log.error({ fault: describeFault(originOf(error)), path: masked.path }, 'an operation failed');
    return masked;
  };
}

/**
 * graphql-js wraps errors that resolvers throw, and its wrapper holds the document with all literals, which must not
 * reach the log.
 */
function originOf(error: unknown): unknown {
  return error instanceof Error && 'originalError' in error && error.originalError
    ? originOf(error.originalError)
    : error;
}
