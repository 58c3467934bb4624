import { driverCauseOf, sqlStateOf } from './sql-state.ts';

/**
 * PostgreSQL's classes 08, 57 and 53: connection lost, server shutting down or starting up, a statement cancelled
 * (because it waited for a long-held lock, for example), too many connections. Also a transaction ended for being idle
 * (25P03), and a write on a read-only server (25006): for example on a former primary; the next connection reaches the
 * new one.
 */
const transientStates = /^(08|57|53|25P03|25006)/;
const transientCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
]);
/**
 * What Prisma's driver adapter reports for a server that it can't reach, that is full, or that closed the connection.
 */
const transientKinds = new Set(['DatabaseNotReachable', 'ConnectionClosed', 'SocketTimeout', 'TooManyConnections']);
/** Prisma waited too long for a connection from the pool. */
const prismaGaveUpWaiting = 'P2028';
const transientMessages =
  /connection terminated|timeout exceeded when trying to connect|client has encountered a connection error|not queryable|server closed the connection/i;

/** Whether the work failed because the database was unavailable, so that a retry may succeed a little later. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  return (
    transientStates.test(sqlStateOf(error) ?? '') ||
    transientCodes.has(code) ||
    transientKinds.has(String(driverCauseOf(error)?.['kind'])) ||
    (code === prismaGaveUpWaiting && /unable to start a transaction/i.test(error.message)) ||
    transientMessages.test(error.message) ||
    (error.cause !== undefined && isTransient(error.cause))
  );
}

/**
 * Whether PostgreSQL itself reported that a statement failed: the statement has then changed nothing. If the connection
 * broke or was terminated (57P01), the commit may have succeeded, with only the answer lost.
 */
export function isUndone(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state !== null && !/^(08|57P)/.test(state);
}

/** How many times a transaction may run into a conflict before its error is reported. */
export const maxConflicts = 3;

/**
 * Whether PostgreSQL undid the transaction because of another one (serialization_failure, deadlock_detected), so that
 * the same transaction may succeed if it is repeated. Two transactions that lock the same rows in different orders can
 * deadlock, and nothing makes psql use this server's order.
 */
export function isConflict(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === '40001' || state === '40P01';
}

const maxRetryMs = 1_000;

/**
 * Retries `work`, with growing pauses of up to a second, for as long as the database is unavailable and `isWanted`
 * returns true. Rejects with any other error, and with the last error once `isWanted` returns false.
 */
export async function retryWhileAway<Value>(
  work: (attempt: number) => Promise<Value>,
  isWanted: () => boolean,
): Promise<Value> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work(attempt);
    } catch (error) {
      if (!isTransient(error) || !isWanted()) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.min(maxRetryMs, 20 * 2 ** attempt)));
      if (!isWanted()) throw error;
    }
  }
}
