import { driverCauseOf, sqlStateOf } from './sql-state.ts';

/**
 * Connection lost, server shutting down or starting up, a statement cut off (behind a lock, say, that somebody holds for
 * long), too many connections: PostgreSQL's classes 08, 57 and 53. A transaction that was ended for standing idle (25P03),
 * and a write on what only reads (25006): a primary that is none any more, and the next connection leads to the new one.
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
/** What Prisma's driver adapter calls a server that it can't reach or that hung up. */
const transientKinds = new Set(['DatabaseNotReachable', 'ConnectionClosed', 'SocketTimeout', 'TooManyConnections']);
/** Prisma had to wait too long for a connection of the pool. */
const prismaGaveUpWaiting = 'P2028';
const transientMessages =
  /connection terminated|timeout exceeded when trying to connect|client has encountered a connection error|not queryable|server closed the connection/i;

/** Whether the database was not there for this, so that the same again may go well a little later. */
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
 * Whether PostgreSQL itself has said that a statement failed, which then has changed nothing. When the connection broke, or
 * was ended (57P01), the commit may have happened, and only the answer was lost.
 */
export function isUndone(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state !== null && !/^(08|57P)/.test(state);
}

const maxRetryMs = 1_000;

/**
 * Does it again, with growing pauses of up to a second, for as long as the database is away and somebody wants it
 * (`isWanted`). Rejects with any other error, and with the last one when nobody does.
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
