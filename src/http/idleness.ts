import type { IncomingMessage } from 'node:http';
import { liftDeadline } from './body-deadline.ts';

/** The length of an interval, in ms. A client that sends less than `minBytes` in an interval is considered gone. */
export const uploadIdleMs = 30_000;
const minBytes = 1_000;

/**
 * The minimum average rate of an upload. The minimum applies only after two intervals, so that the upload has time to
 * get going.
 */
const minBytesPerSecond = 1_000;
const graceIntervals = 2;

/**
 * Cuts off a client that stops midway, sends almost nothing within `idleMs`, or is too slow overall. This ensures that
 * no upload occupies its slot for longer than its size justifies. Time during which the client waits for the server
 * does not count.
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
