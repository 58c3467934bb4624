import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpError } from './http-error.ts';

/**
 * How long the server continues to read from a client that is still sending, in ms, so that the client can read why it
 * should stop.
 */
export const lingerMs = 2_000;

/**
 * Responds to a request, and discards the rest of its body. If the body has not arrived completely, closes the
 * connection after the response. If the connection closed immediately, the client's system would discard the response
 * along with the data that it could not send.
 */
export async function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  {
    status,
    body,
    headers = {},
    type = 'application/json',
  }: { status: number; body: unknown; headers?: Record<string, string> | undefined; type?: string },
): Promise<void> {
  if (response.destroyed) return;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, {
    ...headers,
    'content-type': `${type}; charset=utf-8`,
    'content-length': Buffer.byteLength(text),
    ...(!request.complete && { connection: 'close' }),
  });
  response.write(text);
  if (!request.complete && !request.destroyed) {
    request.resume();
    await Promise.race([
      once(request, 'close', { signal: AbortSignal.timeout(lingerMs) }).catch(() => undefined),
      once(response, 'close').catch(() => undefined),
      once(request, 'end').catch(() => undefined),
    ]);
  }
  response.end();
}

/** Refuses a request with the given error. */
export async function refuseWith(error: HttpError, request: IncomingMessage, response: ServerResponse): Promise<void> {
  for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
  await refuse(request, response, { status: error.status, body: error.body });
}
