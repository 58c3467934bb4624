import pg from 'pg';

/**
 * PostgreSQL's code for an error (Appendix A of its manual), whether the statement ran through pg (in `code`) or
 * through Prisma (in the cause that its driver adapter reports). Returns null for an error without one, for example if
 * PostgreSQL could not be reached.
 */
export function sqlStateOf(error: unknown): string | null {
  const state = error instanceof pg.DatabaseError ? error.code : driverCauseOf(error)?.['originalCode'];
  return typeof state === 'string' ? state : null;
}

/** Whether PostgreSQL cancelled the statement (query_canceled), as it does after `statement_timeout`. */
export function isEndedByTimeout(error: unknown): boolean {
  return sqlStateOf(error) === '57014';
}

/** The name of the constraint, or of the rule in a trigger, that refused a statement; null if the error names none. */
export function constraintOf(error: unknown): string | null {
  const name =
    error instanceof pg.DatabaseError ? error.constraint : property(driverCauseOf(error)?.['constraint'], 'index');
  return typeof name === 'string' ? name : null;
}

/**
 * What Prisma's driver adapter reports about a failure: `kind` is its name (such as `DatabaseNotReachable`), and
 * `originalCode` is the SQLSTATE, if there is one. Prisma wraps it in the `meta` of an error with its own code (P1001,
 * P2003 …), except that a failed BEGIN or COMMIT may come unwrapped. Returns null for an error that did not come
 * through Prisma.
 */
export function driverCauseOf(error: unknown): Readonly<Record<string, unknown>> | null {
  const driverError = property(property(error, 'meta'), 'driverAdapterError') ?? error;
  const cause = property(driverError, 'cause');
  return typeof property(cause, 'kind') === 'string' ? (cause as Record<string, unknown>) : null;
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
