import { AsyncLocalStorage } from 'node:async_hooks';
import type { Caller } from './asker.ts';

/** What is known about a request while it is being processed. */
export type RequestScope = {
  /** Identifies the request in the log and in its response. */
  requestId: string;
  /** The ID of the trace that the request belongs to, in 32 hexadecimal digits; null if there is none. */
  traceId: string | null;
  /** The caller who sent the request; null until the caller is known, and if the sender is not signed in. */
  caller: Caller | null;
  /**
   * The root field of the request's operation, or `several` if there is more than one; null until the operation is
   * known.
   */
  operation: string | null;
  /** Whether the log already says that a limit has refused the request. */
  isRefusalLogged: boolean;
};

/**
 * The request that the current code is processing. Passing it as an argument would change the signature of every
 * function between a request and a log line. Node 24 propagates it at a cost that is too small to measure in a request
 * (docs/monitoring.md).
 */
export const requestScope = new AsyncLocalStorage<RequestScope>();
