import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpError } from './http-error.ts';

/** So long a client that is still sending is read, so that it gets to read why it should stop. */
const lingerMs = 2_000;

/**
 * Answers a request whose body is not wanted to the end; when the body is not all here, closes its connection after it.
 * Were it closed at once, the client's system would throw the answer away with what it could not send.
 */
export async function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  { status, body, headers = {} }: { status: number; body: unknown; headers?: Record<string, string> | undefined },
): Promise<void> {
  if (response.destroyed) return;
  const text = JSON.stringify(body);
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json; charset=utf-8',
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

/** Refuses a request for what was thrown about it. */
export async function refuseWith(error: HttpError, request: IncomingMessage, response: ServerResponse): Promise<void> {
  for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
  await refuse(request, response, { status: error.status, body: error.body });
}
