import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { HttpError } from './http-error.ts';
import { lingerMs } from './refusal.ts';

/**
 * The limits on the headers of a request, for Node's HTTP server: sizes in bytes, and times in ms from the connection
 * or the first byte.
 */
export const headerLimits = {
  headersTimeout: 10_000,
  // How often Node checks for late headers. With Node's default interval, the limit of 10 s could become 40 s.
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 16 * 1024,
};

const tooLate = 'ERR_HTTP_REQUEST_TIMEOUT';
const malformed = { error: new HttpError(400, 'The request is not valid HTTP/1.1.'), reason: 'Bad Request' };
const refusals: Record<string, { error: HttpError; reason: string }> = {
  [tooLate]: {
    error: new HttpError(408, `The headers did not arrive within ${headerLimits.headersTimeout / 1_000} seconds.`),
    reason: 'Request Timeout',
  },
  HPE_HEADER_OVERFLOW: {
    error: new HttpError(431, `The headers are larger than ${headerLimits.maxHeaderSize} bytes.`),
    reason: 'Request Header Fields Too Large',
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    error: new HttpError(413, `The extensions of a chunk are larger than ${headerLimits.maxHeaderSize} bytes.`),
    reason: 'Content Too Large',
  },
};

/** What is known about a connection: whether it has not sent a request yet, and whether a response has begun on it. */
type ConnectionState = { isUnused: () => boolean; isAnswering: () => boolean };

/**
 * Handles the `clientError` event of an HTTP server, which means that the client sent something that is not a request,
 * or headers that are too large or too late. Answers with a JSON error. If a response has already begun, closes the
 * connection without an answer.
 *
 * A connection that has sent nothing counts as idle, like a connection between two requests, and not as late, because
 * browsers and load balancers open connections in advance. It stays open for `keepAliveMs` (for 10 to 12 s if that is
 * shorter) and is then closed without an answer, because the client could take an answer for the response to its next
 * request.
 */
export function refuseUnreadable(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  { keepAliveMs, isUnused, isAnswering }: { keepAliveMs: number } & ConnectionState,
): void {
  // Anything that arrives after a refusal is discarded.
  if (socket.writableEnded || socket.destroyed) return;
  if (error.code === tooLate && !hasSent(socket)) {
    closeUnused(socket, { idleMs: Math.max(0, keepAliveMs - headerLimits.headersTimeout), isUnused });
    return;
  }
  if (error.code === 'ECONNRESET' || isAnswering()) {
    socket.destroy();
    return;
  }
  const refusal = refusals[error.code ?? ''] ?? malformed;
  const body = JSON.stringify(refusal.error.body);
  const head = [
    `HTTP/1.1 ${refusal.error.status} ${refusal.reason}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  setTimeout(() => void socket.destroy(), lingerMs).unref();
}

/**
 * Closes the connection after `idleMs` unless it has sent a request by then. Node no longer watches the connection until
 * a request begins on it, which an empty line does not do: a connection that has sent anything else has as long as usual
 * to complete its headers.
 */
function closeUnused(socket: Duplex, { idleMs, isUnused }: { idleMs: number; isUnused: () => boolean }): void {
  const close = () => {
    if (isUnused()) socket.destroy();
  };
  const graceMs = headerLimits.headersTimeout + headerLimits.connectionsCheckingInterval;
  let timer = setTimeout(() => {
    if (hasSent(socket)) timer = setTimeout(close, graceMs).unref();
    else close();
  }, idleMs).unref();
  socket.on('close', () => clearTimeout(timer));
}

function hasSent(socket: Duplex): boolean {
  return (socket as Socket).bytesRead > 0;
}
