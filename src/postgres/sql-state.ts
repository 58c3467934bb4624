import pg from 'pg';

/**
 * PostgreSQL's code for what went wrong (Appendix A of its manual), whichever way the statement went: pg has it in `code`,
 * Prisma in what its driver adapter says. Null when PostgreSQL did not answer at all, as for a refused connection.
 */
export function sqlStateOf(error: unknown): string | null {
  const state = error instanceof pg.DatabaseError ? error.code : driverCauseOf(error)?.['originalCode'];
  return typeof state === 'string' ? state : null;
}

/** The name of the constraint, or of the rule in a trigger, that refused a statement; null where none is named. */
export function constraintOf(error: unknown): string | null {
  const name =
    error instanceof pg.DatabaseError ? error.constraint : property(driverCauseOf(error)?.['constraint'], 'index');
  return typeof name === 'string' ? name : null;
}

/**
 * What Prisma's driver adapter says of a failure: `kind` is its name for it (`DatabaseNotReachable`, say), `originalCode`
 * the SQLSTATE, if there is one. Prisma wraps it into `meta` of an error with a code of Prisma's own (P1001, P2003 …); for
 * BEGIN and COMMIT it may come as it is. Null for an error that did not come through Prisma.
 */
export function driverCauseOf(error: unknown): Readonly<Record<string, unknown>> | null {
  const driverError = property(property(error, 'meta'), 'driverAdapterError') ?? error;
  const cause = property(driverError, 'cause');
  return typeof property(cause, 'kind') === 'string' ? (cause as Record<string, unknown>) : null;
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
