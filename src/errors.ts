/**
 * The expected failures: a closed set, thrown by the domain, translated once at the GraphQL edge into the members of a
 * result union. Any error of the domain that this file does not define is a server fault: logged, and masked for the
 * client.
 */
export type ErrorCode = 'INVALID_INPUT' | 'INVALID_CREDENTIALS' | 'NOT_FOUND' | 'FORBIDDEN' | 'CONFLICT' | 'LAST_OWNER';

/**
 * The problems that an input field can have, as codes for programs: it is missing or empty; it is too short, too long
 * or has too many entries; it cannot be read; a rule forbids it; it names something that does not exist or that the
 * asker cannot see; or it is a duplicate. The schema's FieldErrorCode has the same list.
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

/** One refused input field: its path within the input, e.g. `['email']`, and what is wrong with it. */
export type FieldError = { path: string[]; code: (typeof fieldErrorCodes)[number]; message: string };

/** What all expected failures have in common. The message is written for the client. */
export abstract class ExpectedError extends Error {
  abstract readonly code: ErrorCode;
}

/** The maximum number of refused fields that an error names: in a list of 1,000 ids, every id may be wrong. */
export const maxFieldErrors = 50;

/** Names the fields that were refused, the first `maxFieldErrors` of them; nothing has been changed. */
export class InvalidInput extends ExpectedError {
  readonly code = 'INVALID_INPUT';
  readonly fields: FieldError[];

  constructor(fields: FieldError[]) {
    const named = fields.slice(0, maxFieldErrors);
    super(named.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
    this.fields = named;
  }
}

/** A password, token or code is wrong. A sign-in does not say whether the email address or the password is. */
export class InvalidCredentials extends ExpectedError {
  readonly code = 'INVALID_CREDENTIALS';
}

/** Missing, or hidden from the viewer: the two look the same. */
export class NotFound extends ExpectedError {
  readonly code = 'NOT_FOUND';
}

/**
 * The asker can see the object, but may not do this to it. `until`: when a temporary refusal ends, such as a
 * suspension, a ban or a mute. `reason`: the reason that a moderator gave, which the asker can read.
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
 * A value is already in use, or another request is doing the same or has done it. `fields`: the inputs whose values are
 * taken, e.g. `['username']`.
 */
export class Conflict extends ExpectedError {
  readonly code = 'CONFLICT';
  readonly fields: string[];

  constructor(message: string, fields: string[]) {
    super(message);
    this.fields = fields;
  }
}

/** The last owner of a chat with other members cannot leave or step down. */
export class LastOwner extends ExpectedError {
  readonly code = 'LAST_OWNER';
}

/** No access token, or one that is not (or no longer) valid. Reported as a top-level error. */
export class Unauthenticated extends Error {}

/** Which limit was reached: its setting, and how many uses it allows in how many seconds. */
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

/** More bytes than accepted; the message states the limit. Answered with status 413, or as a top-level error. */
export class TooLarge extends Error {}

/** The file store, or the database, has no room for more. Answered with status 507. */
export class StoreFull extends Error {
  constructor(options: ErrorOptions = {}) {
    super('The server has no room for more files.', options);
  }
}

/** The remote file store doesn't answer, or refuses access. Answered with status 503. */
export class StoreUnavailable extends Error {}

/** The keys of an issuer cannot be fetched, so its tokens cannot be verified. Answered with status 503. */
export class IssuerUnavailable extends Error {}

/** What keeps the server from starting. Its message tells the operator what to do; it needs no stack. */
export class CannotStart extends Error {}

const maxCauses = 5;

/**
 * What a log may contain about a fault: where it happened and what PostgreSQL refused (the table, the constraint),
 * never the values. PostgreSQL's `detail` and `where` quote the row, so a sign-up that fails would write an email
 * address and a password hash into the log.
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
