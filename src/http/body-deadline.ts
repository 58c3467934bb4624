import type { IncomingMessage, ServerResponse } from 'node:http';

/** So long a body may take to come in, unless it is a file's. */
const bodyMs = 30_000;

/** So long a client may go on sending once it has its answer. */
const afterAnswerMs = 5_000;

const deadlines = new WeakMap<IncomingMessage, NodeJS.Timeout>();

/**
 * Cuts off a connection whose request does not come to its end: within `bodyMs`, and within `afterAnswerMs` of its
 * answer. Without it a client that trickles a body which no one reads would keep its socket for ever.
 */
export function limitDuration(request: IncomingMessage, response: ServerResponse): void {
  if (!hasBody(request)) return;
  const timer = cutOffIn(request, bodyMs, 'The request took too long to come in.');
  deadlines.set(request, timer);
  request.once('close', () => clearTimeout(timer));
  const finish = () => {
    if (request.complete || request.socket.destroyed) return;
    const last = cutOffIn(request, afterAnswerMs, 'The request goes on after its answer.');
    const done = () => clearTimeout(last);
    request.once('end', done).socket.once('close', done);
  };
  response.once('finish', finish);
}

/** For a request that brings files, whose pace something else watches: it may take longer than other bodies. */
export function liftDeadline(request: IncomingMessage): void {
  clearTimeout(deadlines.get(request));
}

/** As soon as the parser has looked past its headers, a request without a body is complete. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function cutOffIn(request: IncomingMessage, ms: number, reason: string): NodeJS.Timeout {
  return setTimeout(() => {
    if (request.complete) return;
    // What is destroyed already lets go of its socket no more.
    if (request.destroyed) request.socket.destroy();
    else request.destroy(new Error(reason));
  }, ms).unref();
}
