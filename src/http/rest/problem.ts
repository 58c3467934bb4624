import { STATUS_CODES } from 'node:http';
import { GraphQLError } from 'graphql';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { originOf } from '../../api/fault.ts';
import { limitHeaders } from '../../api/limit.ts';
import { isRecord } from '../../core/json.ts';
import {
  InvalidInput,
  IssuerUnavailable,
  StoreFull,
  StoreUnavailable,
  TooLarge,
  type FieldError,
} from '../../errors.ts';
import { HttpError } from '../http-error.ts';
import { refuse } from '../refusal.ts';

/** The reason why a request failed, as problem details (RFC 9457) with additional members that this API defines. */
export type Problem = {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  /** For INVALID_INPUT: the parameters that are wrong, and what is wrong with each. */
  fields?: readonly FieldError[];
  /** For CONFLICT: the parameters whose values are already in use. */
  taken?: readonly string[];
  /**
   * For FORBIDDEN: when the restriction ends if it is temporary, and the reason that was given for the suspension or the
   * ban.
   */
  until?: string | null;
  reason?: string | null;
  /** RATE_LIMITED. */
  retryAfterSeconds?: number;
  limit?: string;
  count?: number;
  windowSeconds?: number;
};

/** The codes of failures, each with its status and title. */
export const problemKinds = {
  BAD_REQUEST: { status: 400, title: 'The request cannot be read.' },
  INVALID_INPUT: { status: 400, title: 'A parameter is not valid.' },
  UNAUTHENTICATED: { status: 401, title: 'An access token is required.' },
  INVALID_CREDENTIALS: { status: 403, title: 'The credentials are wrong.' },
  FORBIDDEN: { status: 403, title: 'You may not do this.' },
  NOT_FOUND: { status: 404, title: 'There is no such object, or it is hidden from you.' },
  CONFLICT: { status: 409, title: 'The value is already in use.' },
  LAST_OWNER: { status: 409, title: 'A chat must keep at least one owner.' },
  RATE_LIMITED: { status: 429, title: 'Too many requests.' },
  INTERNAL: { status: 500, title: 'The server failed.' },
} as const satisfies Record<string, { status: number; title: string }>;

type Code = keyof typeof problemKinds;

/** An error in a GraphQL result, as thrown or as parsed from JSON. */
type Told = { message: string; extensions?: Record<string, unknown> | undefined };

/**
 * Creates the problem for a code. `more` has additional members; a `status` or a `title` in it replaces that of the
 * code.
 */
export function problem(code: Code, detail: string, more: Partial<Problem> = {}): Problem {
  const { status, title } = problemKinds[code];
  return {
    type: `urn:parley:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title,
    status,
    detail,
    code,
    ...more,
  };
}

/**
 * Returns the problem that corresponds to a GraphQL error. The error has already been masked, so an unknown code means
 * that the server has failed.
 */
export function problemOfError({ message, extensions = {} }: Told): Problem {
  const { code, http, fields, retryAfterSeconds, limit, count, windowSeconds } = extensions;
  const status = isRecord(http) && typeof http['status'] === 'number' ? { status: http['status'] } : {};
  return problem(isCode(code) ? code : 'INTERNAL', message, {
    ...status,
    // These extensions come from the server's own errors, so they have these types.
    ...(fields !== undefined && { fields: fields as FieldError[] }),
    ...(typeof retryAfterSeconds === 'number' && { retryAfterSeconds }),
    ...(typeof limit === 'string' && { limit, count: count as number, windowSeconds: windowSeconds as number }),
  });
}

/**
 * Returns the problem that a member of a result union represents, or null if the member has none of the fields that
 * `...Problem` (fragment.ts) selects.
 */
export function problemOfMember(member: Record<string, unknown>): Problem | null {
  const { problem: code, detail, fields, taken, until, reason } = member;
  if (!isCode(code)) return null;
  return problem(code, String(detail), {
    // The schema guarantees these types.
    ...(fields !== undefined && { fields: fields as FieldError[] }),
    ...(taken !== undefined && { taken: taken as string[] }),
    ...(typeof until === 'string' && { until }),
    ...(typeof reason === 'string' && { reason }),
  });
}

/**
 * Returns the problem details for a status, for a route that does not run a document. They repeat the detail as
 * `error`, because these routes sent `error` before they sent problems.
 */
export function problemOfStatus(status: number, detail: string): Problem & { error: string } {
  const code = codesByStatus.get(status) ?? (status < 500 ? 'BAD_REQUEST' : 'INTERNAL');
  const own = problem(code, detail, { status });
  const title = problemKinds[code].status === status ? own.title : `${STATUS_CODES[status] ?? 'Error'}.`;
  return { ...own, title, error: detail };
}

/** Returns the result of `problemOfStatus` in the form that `refuse` expects. */
export function asProblem(
  status: number,
  detail: string,
): { status: number; body: Problem & { error: string }; type: string } {
  return { status, body: problemOfStatus(status, detail), type: problemType };
}

const codesByStatus = new Map<number, Code>([
  [401, 'UNAUTHENTICATED'],
  [403, 'FORBIDDEN'],
  [404, 'NOT_FOUND'],
  [409, 'CONFLICT'],
  [429, 'RATE_LIMITED'],
]);

/**
 * Returns the problem for a request that was refused before any part of it was executed. Rethrows any other kind of
 * error.
 */
function problemOfRefusal(error: unknown): Problem {
  if (error instanceof InvalidInput) return problem('INVALID_INPUT', error.message, { fields: error.fields });
  if (!(error instanceof HttpError)) throw error;
  const { status, message, code, headers } = error;
  const retryAfter = headers['retry-after'];
  if (!isCode(code) || code === 'BAD_REQUEST') {
    return problem('BAD_REQUEST', message, { status, title: `${STATUS_CODES[status] ?? 'Error'}.` });
  }
  return problem(code, message, { status, ...(retryAfter !== undefined && { retryAfterSeconds: Number(retryAfter) }) });
}

/** Responds to a request that was refused before any part of it was executed. Rethrows any other kind of error. */
export async function refuseWithProblem(
  error: unknown,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const told = problemOfRefusal(error);
  if (error instanceof HttpError) {
    for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
  }
  await sendProblem(told, request, response);
}

/** Adds to a masked error the properties that a problem has and a GraphQL error lacks. */
export function detailed(masked: GraphQLError, error: unknown): GraphQLError {
  return new GraphQLError(masked.message, { extensions: { ...masked.extensions, ...detailsOf(error) } });
}

function detailsOf(error: unknown): Record<string, unknown> {
  const origin = originOf(error);
  if (origin instanceof InvalidInput) return { code: 'INVALID_INPUT', fields: origin.fields };
  if (origin instanceof TooLarge) return { http: { status: 413 } };
  if (origin instanceof StoreFull) return { http: { status: 507 } };
  if (origin instanceof StoreUnavailable || origin instanceof IssuerUnavailable) return { http: { status: 503 } };
  return {};
}

/** Responds with a problem, and discards the rest of the request. */
export async function sendProblem(told: Problem, request: IncomingMessage, response: ServerResponse): Promise<void> {
  await refuse(request, response, { status: told.status, body: told, headers: headersOf(told), type: problemType });
}

/** The content type of a problem document. */
export const problemType = 'application/problem+json';

function headersOf(told: Problem): Record<string, string> {
  return {
    'cache-control': 'no-store',
    ...(told.status === 401 && { 'www-authenticate': 'Bearer' }),
    ...(told.status === 503 && { 'retry-after': '5' }),
    ...(told.retryAfterSeconds !== undefined && limitHeaders(told)),
  };
}

function isCode(code: unknown): code is Code {
  return typeof code === 'string' && Object.hasOwn(problemKinds, code);
}
