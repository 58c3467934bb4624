/**
 * The expected failures: a closed set that the domain throws and that the GraphQL edge, in a single place, translates
 * into members of a result union. Any other error from the domain is a server fault, which is logged and masked for the
 * client.
 */
export type ErrorCode = 'INVALID_INPUT' | 'INVALID_CREDENTIALS' | 'NOT_FOUND' | 'FORBIDDEN' | 'CONFLICT' | 'LAST_OWNER';

/**
 * What can be wrong with an input field, as codes for programs. The field is missing or empty; it is too short, too
 * long or has too many entries; it cannot be parsed; or it is a duplicate. A rule may also forbid the value, or the
 * value names something that does not exist or that the asker cannot see. The schema's FieldErrorCode has the same
 * list.
 */
export const fieldErrorCodes = [
  'REQUIRED',
  'TOO_SHORT',
  'TOO_LONG',
  'TOO_MANY',
  'MALFORMED',
  'NOT_ALLOWED',
  'NOT_FOUND',
  'DUPLICATE',
] as const;

/** A refused input field: its path within the input, e.g. `['email']`, and what is wrong with it. */
export type FieldError = { path: string[]; code: (typeof fieldErrorCodes)[number]; message: string };

/** The base class of all expected errors. The message is written for the client. */
export abstract class ExpectedError extends Error {
  abstract readonly code: ErrorCode;
}

/**
 * The maximum number of refused fields that an error names. Without a limit, a list of 1,000 ids could cause an error
 * with 1,000 entries.
 */
export const maxFieldErrors = 50;

/**
 * Some input fields were refused, and nothing was changed. The error names the first `maxFieldErrors` of these fields.
 */
export class InvalidInput extends ExpectedError {
  readonly code = 'INVALID_INPUT';
  readonly fields: FieldError[];

  constructor(fields: FieldError[]) {
    const named = fields.slice(0, maxFieldErrors);
    super(named.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
    this.fields = named;
  }
}

/**
 * A password, token or code is wrong. For a sign-in, the error does not say whether the email address or the password
 * was wrong.
 */
export class InvalidCredentials extends ExpectedError {
  readonly code = 'INVALID_CREDENTIALS';
}

/** The object does not exist or is hidden from the viewer; the error does not say which. */
export class NotFound extends ExpectedError {
  readonly code = 'NOT_FOUND';
}

/**
 * The asker can see the object, but may not perform this action on it. `until` is when the restriction ends if it is
 * temporary, such as a suspension, a ban or a mute. `reason` is the reason that a moderator gave; the asker can read
 * it.
 */
export class Forbidden extends ExpectedError {
  readonly code = 'FORBIDDEN';
  readonly until: Date | null;
  readonly reason: string | null;

  constructor(message: string, { until = null, reason = null }: { until?: Date | null; reason?: string | null } = {}) {
    super(message);
    this.until = until;
    this.reason = reason;
  }
}

/**
 * A value is already in use, or another request is performing or has performed the same action. `fields` names the
 * inputs whose values are already in use, e.g. `['username']`.
 */
export class Conflict extends ExpectedError {
  readonly code = 'CONFLICT';
  readonly fields: string[];

  constructor(message: string, fields: string[]) {
    super(message);
    this.fields = fields;
  }
}

/** The last owner of a chat that has other members cannot leave or give up the role. */
export class LastOwner extends ExpectedError {
  readonly code = 'LAST_OWNER';
}

/** The access token is missing, invalid or no longer valid. Reported as a top-level error. */
export class Unauthenticated extends Error {}

/**
 * The limit that was reached: the name of its setting, the number of uses that it allows, and the period in seconds to
 * which that number applies.
 */
export type ReachedLimit = { limit: string; count: number; windowSeconds: number };

/** Too many requests; `retryAfterSeconds` says when to try again. Reported as a top-level error. */
export class RateLimited extends Error {
  readonly retryAfterSeconds: number;
  readonly reached: ReachedLimit | null;

  constructor(message: string, retryAfterSeconds: number, reached: ReachedLimit | null = null) {
    super(message);
    this.retryAfterSeconds = retryAfterSeconds;
    this.reached = reached;
  }
}

/**
 * The request has more bytes than the server accepts; the message states the limit. Reported with status 413 or as a
 * top-level error.
 */
export class TooLarge extends Error {}

/** The file store or the database is full. Reported with status 507. */
export class StoreFull extends Error {
  constructor(options: ErrorOptions = {}) {
    super('The server has no room for more files.', options);
  }
}

/** The remote file store doesn't answer, or refuses access. Reported with status 503. */
export class StoreUnavailable extends Error {}

/** The public keys of a token issuer cannot be fetched, so its tokens cannot be verified. Reported with status 503. */
export class IssuerUnavailable extends Error {}

/**
 * A problem that keeps the server from starting. The message tells the operator what to do, so no stack trace is
 * needed.
 */
export class CannotStart extends Error {}

const maxCauses = 5;

/**
 * Returns what a log may contain about a fault: where it happened and what PostgreSQL refused (the table, the
 * constraint), but never the values. PostgreSQL's `detail` and `where` quote the row, so logging them for a failed
 * sign-up would write an email address and a password hash into the log.
 */
export function describeFault(error: unknown, causes = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const told: Record<string, unknown> = { type: error.name, message: error.message, stack: error.stack };
  for (const name of ['code', 'schema', 'table', 'column', 'constraint', 'routine'] as const) {
    const value: unknown = Reflect.get(error, name);
    if (value !== undefined) told[name] = value;
  }
  if (causes === maxCauses) return told;
  if (error.cause !== undefined) told['cause'] = describeFault(error.cause, causes + 1);
  if (error instanceof AggregateError) {
    told['errors'] = error.errors.slice(0, maxCauses).map((each) => describeFault(each, causes + 1));
  }
  return told;
}
