import type { GraphQLError } from 'graphql';
import type { Logger } from 'pino';
import { noMetrics, type Metrics } from '../core/metric.ts';
import type { Report } from '../core/report.ts';
import { requestScope } from '../core/request-scope.ts';
import { describeFault, RateLimited, StoreFull, TooLarge } from '../errors.ts';
import { internalError, toClientError } from './error.ts';

/** Logged for each upload that is refused because a disk is full, no matter which protocol the upload used. */
export const diskIsFull = 'a disk is full: an upload was refused';

/**
 * Creates the function that turns an execution error into the error that the client receives. Expected errors keep
 * their code; a server fault is logged and becomes INTERNAL.
 */
export function createMask(
  log: Logger,
  { metrics = noMetrics, report }: { metrics?: Metrics; report?: Report } = {},
): (error: unknown) => GraphQLError {
  return (error) => {
    const told = toClientError(error);
    // The client also receives this error, but only an operator can fix its cause.
    if (originOf(error) instanceof StoreFull) log.error(diskIsFull);
    noteRefusal(originOf(error), report);
    if (told !== null) return told;
    const masked = internalError(error);
    metrics.count('internalErrors', {});
    log.error({ fault: describeFault(originOf(error)), path: masked.path }, 'an operation failed');
    return masked;
  };
}

/** Reports that a limit has refused a request, unless the refusal has already been reported. */
function noteRefusal(error: unknown, report: Report | undefined): void {
  if (!(error instanceof RateLimited || error instanceof TooLarge)) return;
  const scope = requestScope.getStore();
  if (scope?.isRefusalLogged === true) return;
  if (scope !== undefined) scope.isRefusalLogged = true;
  report?.('info', refusedByLimit, { reason: error.message });
}

/** Reported for each request that a limit has refused. Its `reason` is the message that the client received. */
export const refusedByLimit = 'a limit refused a request';

/**
 * Returns the value that a resolver threw. graphql-js wraps this value in an error that contains the document with all
 * its literals, which must not reach the log.
 */
export function originOf(error: unknown): unknown {
  return error instanceof Error && 'originalError' in error && error.originalError
    ? originOf(error.originalError)
    : error;
}
