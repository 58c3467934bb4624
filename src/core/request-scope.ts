import { AsyncLocalStorage } from 'node:async_hooks';
import type { Caller } from './asker.ts';

/** What is known about a request while it is being processed. */
export type RequestScope = {
  /** Identifies the request in the log and in its response. */
  requestId: string;
  /** The trace that the request belongs to, in 32 hexadecimal digits; null if there is none. */
  traceId: string | null;
  /** Who makes the request; null until that is known, and for those who are not signed in. */
  caller: Caller | null;
  /** The root field of its operation, `several` if it has more than one; null until that is known. */
  operation: string | null;
  /** Whether the log already says that a limit has refused the request. */
  isRefusalLogged: boolean;
};

/**
 * The request that the current code runs for. Passing it as an argument would touch every function between a request
 * and a line in the log; Node 24 carries it along at a cost too small to measure in a request (docs/monitoring.md).
 */
export const requestScope = new AsyncLocalStorage<RequestScope>();
