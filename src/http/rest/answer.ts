import type { ExecutionResult } from 'graphql';
import { isRecord } from '../../core/json.ts';
import { problem, problemOfError, problemOfMember, type Problem } from './problem.ts';
import type { Route } from './route.ts';

/** The response to a request: either its status and JSON body (undefined if there is none), or a problem. */
export type Answer = { status: number; body: unknown } | { problem: Problem };

/**
 * Turns the result of a route's document into the answer. `isKnown` says whether the client is signed in, which
 * determines what a missing object means.
 */
export function answerOf(route: Route, { data, errors }: ExecutionResult, isKnown: boolean): Answer {
  const [error] = errors ?? [];
  // The client could not tell a partial response from a complete one.
  if (error !== undefined) return { problem: problemOfError(error) };
  const found = find(data, route.result);
  if ('missingAt' in found) return { problem: explainAbsence(route, found.missingAt, isKnown) };
  const { value } = found;
  if (value === false) return { problem: problem('FORBIDDEN', 'You may not do this here.') };
  const told = isRecord(value) ? problemOfMember(value) : null;
  if (told !== null) return { problem: route.isOpen === true ? asRefusedSignIn(told) : told };
  const status = statusOf(route, value);
  if (status === null) return { problem: problem('NOT_FOUND', 'There is no such object.') };
  return { status, body: status === 204 ? undefined : bodyOf(route, value) };
}

/**
 * Follows a path of names from the data to a value. `missingAt` is the position in the path at which the value is null.
 */
function find(data: unknown, path: string): { value: unknown } | { missingAt: number } {
  let value = data;
  for (const [index, name] of (path === '' ? [] : path.split('.')).entries()) {
    value = isRecord(value) ? value[name] : null;
    if (value === null || value === undefined) return { missingAt: index };
  }
  return { value };
}

/**
 * Explains why a value is null. If it is the first value in the path, the object does not exist or is hidden. If it
 * belongs to an object that exists, as a list does, it is hidden from the asker.
 */
function explainAbsence({ result }: Route, missingAt: number, isKnown: boolean): Problem {
  if (!isKnown) return problem('UNAUTHENTICATED', 'An access token is required: send `Authorization: Bearer …`.');
  // An authenticated caller without an account is a program with a server key.
  if (missingAt === 0 && result.startsWith('viewer')) {
    return problem('FORBIDDEN', 'A server key has no account: name a user in the header `parley-act-as`.');
  }
  if (missingAt > 0) return problem('FORBIDDEN', 'You may not see this.');
  return problem('NOT_FOUND', 'There is no such object, or it is hidden from you.');
}

/**
 * On a route that requires no token, wrong credentials can result in a 401, because the client cannot mistake it for an
 * expired token.
 */
function asRefusedSignIn(told: Problem): Problem {
  return told.code === 'INVALID_CREDENTIALS' ? { ...told, status: 401 } : told;
}

function statusOf({ status = 200, statuses }: Route, value: unknown): number | null {
  if (statuses === undefined) return status;
  const type = isRecord(value) ? value['__typename'] : null;
  return (typeof type === 'string' && Object.hasOwn(statuses, type) ? statuses[type] : undefined) ?? null;
}

function bodyOf(route: Route, value: unknown): unknown {
  if (Array.isArray(value)) return { items: value, nextCursor: null };
  if (!isRecord(value)) return value;
  const { edges, pageInfo, __typename: _, ...object } = value;
  if (Array.isArray(edges) && isRecord(pageInfo)) {
    const items: unknown[] = edges.map((edge) => (isRecord(edge) ? edge['node'] : null));
    if (route.isReversed === true) items.reverse();
    return { items, nextCursor: pageInfo['hasMore'] === true ? pageInfo['nextCursor'] : null };
  }
  return lift(route.lift ?? {}, object);
}

function lift(moves: NonNullable<Route['lift']>, object: Record<string, unknown>): Record<string, unknown> {
  const lifted = { ...object };
  for (const [outer, inner] of Object.entries(moves)) {
    const holder = lifted[outer];
    if (!isRecord(holder)) continue;
    delete lifted[outer];
    lifted[inner] = holder[inner];
  }
  return lifted;
}
