import { EventStream, type Frame } from './stream.ts';
import type { Data, Variables } from './client.ts';

/** The request header that carries a stream's token. */
export const tokenHeader = 'x-graphql-event-stream-token';

type Node = { url: string };
type Caller = { token: string };

/** Sends a request to `/graphql/stream` as the given user, or signed out. `search` begins with `?`. */
export function request(
  node: Node,
  by: Caller | null,
  method: string,
  { search = '', headers = {}, body }: { search?: string; headers?: Record<string, string>; body?: unknown } = {},
): Promise<Response> {
  return fetch(`${node.url}/graphql/stream${search}`, {
    method,
    headers: {
      ...(by !== null && { authorization: `Bearer ${by.token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
}

/** Reserves a stream, and returns its token. */
export async function reserve(node: Node, by: Caller): Promise<string> {
  const response = await request(node, by, 'PUT');
  if (response.status !== 201) throw new Error(`Not reserved: ${response.status} ${await response.text()}`);
  return response.text();
}

/**
 * Opens a reserved stream. Throws an error with the response if the response is not a stream. The caller closes the
 * stream, or uses `await using`.
 */
export async function openReserved(node: Node, by: Caller, token: string): Promise<EventStream> {
  const abort = new AbortController();
  const response = await fetch(`${node.url}/graphql/stream`, {
    headers: { authorization: `Bearer ${by.token}`, accept: 'text/event-stream', [tokenHeader]: token },
    signal: abort.signal,
  });
  if (response.status !== 200) throw new Error(`Expected a stream, got ${response.status}: ${await response.text()}`);
  return new EventStream(response, abort);
}

/** An operation of a stream, with the id that the client chose. */
export type Operation = { id: string; query: string; variables?: Variables };

/** Adds an operation to a stream. */
export function give(node: Node, by: Caller, token: string, { id, query, variables }: Operation): Promise<Response> {
  const body = { query, variables, extensions: { operationId: id } };
  return request(node, by, 'POST', { headers: { [tokenHeader]: token }, body });
}

/** Stops an operation. */
export function takeBack(node: Node, by: Caller, token: string, id: string): Promise<Response> {
  return request(node, by, 'DELETE', { search: `?operationId=${id}`, headers: { [tokenHeader]: token } });
}

/** Returns a predicate for `until` and `next` that matches the end of the operation with that id. */
export function completed(id: string): (frame: Frame) => boolean {
  const test = ({ event, data }: Frame) => event === 'complete' && data.id === id;
  test.toString = () => `complete of ${id}`;
  return test;
}

/**
 * Returns a predicate for `until` and `next` that matches an event with that `__typename` from the operation with that
 * id.
 */
export function happened(id: string, typename: string): (frame: Frame) => boolean {
  const test = (frame: Frame) => frame.data?.id === id && happeningOf(frame)?.__typename === typename;
  test.toString = () => `${typename} of ${id}`;
  return test;
}

/** Returns the event in that frame of single connection mode. */
export function happeningOf(frame: Frame): Data {
  return (Object.values(frame.data?.payload?.data ?? {})[0] as Data)?.event ?? null;
}
