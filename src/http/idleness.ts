import type { IncomingMessage } from 'node:http';
import { liftDeadline } from './body-deadline.ts';

/** A client that sends less than `minBytes` in so long has gone. */
export const uploadIdleMs = 30_000;
const minBytes = 1_000;

/** The least that an upload sends per second, on average; not before it has had two intervals to get going. */
const minBytesPerSecond = 1_000;
const graceIntervals = 2;

/**
 * Cuts off a client that stops in the middle, that sends next to nothing in `idleMs`, or that is too slow overall: so
 * that no upload holds its place for longer than its size can explain. The time that the server takes doesn't count.
 */
export function limitIdleness(request: IncomingMessage, idleMs = uploadIdleMs): void {
  liftDeadline(request);
  const first = request.socket.bytesRead;
  let before = first;
  let waitedMs = -graceIntervals * idleMs;
  const timer = setInterval(() => {
    const { bytesRead } = request.socket;
    const isOurTurn = request.complete || request.readableLength > 0;
    if (!isOurTurn) waitedMs += idleMs;
    const isIdle = bytesRead - before < minBytes;
    const isSlow = bytesRead - first < (waitedMs / 1_000) * minBytesPerSecond;
    if (!isOurTurn && (isIdle || isSlow)) request.destroy(new Error('The client has stopped sending.'));
    before = bytesRead;
  }, idleMs).unref();
  request.once('close', () => clearInterval(timer));
}
