import type { IncomingMessage, ServerResponse } from 'node:http';

/** How long a body may take to arrive, unless it is an upload or an import. */
const bodyMs = 30_000;

/** How long a client may keep sending after it has received the response. */
const afterAnswerMs = 5_000;

const deadlines = new WeakMap<IncomingMessage, NodeJS.Timeout>();

/**
 * Cuts off a connection if the request does not end within `bodyMs`, or within `afterAnswerMs` after its response.
 * Otherwise, a client that slowly sends a body that no one reads could keep its socket open forever.
 */
export function limitDuration(request: IncomingMessage, response: ServerResponse): void {
  if (!hasBody(request)) return;
  deadlines.set(request, cutOffIn(request, bodyMs, 'The request took too long to arrive.'));
  // All requests share these listeners, which capture no variables, because a response may be a stream that stays open
  // for hours.
  request.on('close', forgetDeadline);
  response.on('finish', limitRest);
}

function forgetDeadline(this: IncomingMessage): void {
  liftDeadline(this);
  deadlines.delete(this);
}

function limitRest(this: ServerResponse): void {
  const { req: request } = this;
  if (request.complete || request.socket.destroyed) return;
  const last = cutOffIn(request, afterAnswerMs, 'The request continued after the response.');
  const done = () => clearTimeout(last);
  request.once('end', done).socket.once('close', done);
}

/**
 * Removes the deadline of an upload or an import, which may take longer than other requests. A different check limits
 * how slow it may be.
 */
export function liftDeadline(request: IncomingMessage): void {
  clearTimeout(deadlines.get(request));
}

/** A request without a body is complete as soon as the parser has read its headers. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function cutOffIn(request: IncomingMessage, ms: number, reason: string): NodeJS.Timeout {
  return setTimeout(() => {
    if (request.complete) return;
    // Destroying a request a second time does not close its socket.
    if (request.destroyed) request.socket.destroy();
    else request.destroy(new Error(reason));
  }, ms).unref();
}
