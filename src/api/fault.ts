import type { GraphQLError } from 'graphql';
import type { Logger } from 'pino';
import { describeFault, StoreFull } from '../errors.ts';
import { internalError, toClientError } from './error.ts';

/** Logged for each upload that was refused for it, whichever way it came. */
export const diskIsFull = 'a disk is full: an upload was refused';

/**
 * Turns whatever an execution threw into what the client gets: the expected by its code, a fault of ours as INTERNAL
 * after it has been logged.
 */
export function createMask(log: Logger): (error: unknown) => GraphQLError {
  return (error) => {
    const told = toClientError(error);
    // The client hears what it is, but it is for an operator to do something.
    if (originOf(error) instanceof StoreFull) log.error(diskIsFull);
    if (told !== null) return told;
    const masked = internalError(error);
    log.error({ fault: describeFault(originOf(error)), path: masked.path }, 'an operation failed');
    return masked;
  };
}

/** graphql-js wraps what a resolver threw, and its wrapper holds the document, literals and all: not for a log. */
function originOf(error: unknown): unknown {
  return error instanceof Error && 'originalError' in error && error.originalError
    ? originOf(error.originalError)
    : error;
}
