import type { IncomingMessage } from 'node:http';
import { liftDeadline } from './body-deadline.ts';

/** Somebody who sends less than that in so long has gone. */
export const uploadIdleMs = 30_000;
const minBytes = 1_000;

/**
 * Cuts off whoever stops in the middle, or sends next to nothing in `idleMs`; however long a steady sender takes. Nobody is
 * cut off for our own slowness.
 */
export function limitIdleness(request: IncomingMessage, idleMs = uploadIdleMs): void {
  liftDeadline(request);
  let before = request.socket.bytesRead;
  const timer = setInterval(() => {
    const { bytesRead } = request.socket;
    const isOurTurn = request.complete || request.readableLength > 0;
    if (!isOurTurn && bytesRead - before < minBytes) request.destroy(new Error('The client has stopped sending.'));
    before = bytesRead;
  }, idleMs).unref();
  request.once('close', () => clearInterval(timer));
}
