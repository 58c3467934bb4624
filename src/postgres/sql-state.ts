import pg from 'pg';

/**
 * Returns PostgreSQL's code for an error (Appendix A of its manual). An error from pg has the code in `code`, and an
 * error from Prisma has it in the cause that Prisma's driver adapter reports. Returns null for an error without a code,
 * for example if PostgreSQL could not be reached.
 */
export function sqlStateOf(error: unknown): string | null {
  const state = error instanceof pg.DatabaseError ? error.code : driverCauseOf(error)?.['originalCode'];
  return typeof state === 'string' ? state : null;
}

/** Whether PostgreSQL cancelled the statement (query_canceled), as it does when `statement_timeout` has passed. */
export function isEndedByTimeout(error: unknown): boolean {
  return sqlStateOf(error) === '57014';
}

/**
 * Returns the name of the constraint, or of the rule in a trigger, that refused a statement, or null if the error
 * contains no such name.
 */
export function constraintOf(error: unknown): string | null {
  const name =
    error instanceof pg.DatabaseError ? error.constraint : property(driverCauseOf(error)?.['constraint'], 'index');
  return typeof name === 'string' ? name : null;
}

/**
 * Returns what Prisma's driver adapter reports about a failure: `kind` is the name of the failure (such as
 * `DatabaseNotReachable`), and `originalCode` is the SQLSTATE, if there is one. Prisma puts this report into the `meta`
 * of an error with its own code (P1001, P2003 …), but may throw the driver adapter's error directly when a BEGIN or
 * COMMIT fails. Returns null for an error that did not come through Prisma.
 */
export function driverCauseOf(error: unknown): Readonly<Record<string, unknown>> | null {
  const driverError = property(property(error, 'meta'), 'driverAdapterError') ?? error;
  const cause = property(driverError, 'cause');
  return typeof property(cause, 'kind') === 'string' ? (cause as Record<string, unknown>) : null;
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
