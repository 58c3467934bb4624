import { driverCauseOf, sqlStateOf } from './sql-state.ts';

/**
 * Error classes 08, 57 and 53 of PostgreSQL: the connection was lost, the server is shutting down or starting up, a
 * statement was cancelled (because it waited for a long-held lock, for example), or there are too many connections.
 * Also a transaction that was ended for being idle (25P03), and a write on a read-only server (25006), such as a former
 * primary; the next connection then reaches the new primary.
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
 * The kinds that Prisma's driver adapter reports for a server that it can't reach, that is full, or that closed the
 * connection.
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
 * Whether PostgreSQL itself reported that a statement failed. In that case, the statement has changed nothing. If the
 * connection broke or was terminated (57P01), the commit may have succeeded and only the answer was lost.
 */
export function isUndone(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state !== null && !/^(08|57P)/.test(state);
}

/** How many times a transaction may run into a conflict before its error is reported. */
export const maxConflicts = 3;

/**
 * Whether PostgreSQL rolled the transaction back because of another transaction (serialization_failure,
 * deadlock_detected), so that the same transaction may succeed if it is retried. Deadlocks can occur because two
 * transactions may lock the same rows in different orders. A statement in psql, for example, need not follow this
 * server's order.
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
