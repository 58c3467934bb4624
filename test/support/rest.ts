import type { Data } from './client.ts';
import type { TestServer } from './server.ts';

/** An answer from the REST API. `body` is undefined if the answer has none. */
export type RestAnswer = { status: number; headers: Headers; body: Data };

/** The sender, body and headers of a request. */
export type RestOptions = { by?: { token: string } | null; body?: unknown; headers?: Record<string, string> };

/**
 * Sends one request, as curl would: `call(server, 'GET /api/me', { by: ada })`. A body that is not a string is sent as
 * JSON.
 */
export async function call(
  server: Pick<TestServer, 'url'>,
  request: string,
  { by = null, body, headers = {} }: RestOptions = {},
): Promise<RestAnswer> {
  const [method = 'GET', path = '/'] = request.split(' ');
  const response = await fetch(server.url + path, {
    method,
    headers: {
      ...(by !== null && { authorization: `Bearer ${by.token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}
