import type { ServerResponse } from 'node:http';
import { unreadLimits } from './unread.ts';

/** The client has disconnected, which is not an error. */
export class HungUp extends Error {}

/**
 * Resolves when the operating system has accepted the chunk. Rejects with HungUp if the client has disconnected.
 * If the operating system has not accepted the chunk within `patienceMs`, the function disconnects the client.
 */
export function sendChunk(
  response: ServerResponse,
  chunk: Uint8Array | string,
  patienceMs: number = unreadLimits.ms,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const hangUp = () => reject(new HungUp());
    if (response.destroyed) return hangUp();
    const timer = setTimeout(() => response.destroy(), patienceMs).unref();
    response.once('close', hangUp);
    response.write(chunk, (error) => {
      clearTimeout(timer);
      response.off('close', hangUp);
      if (error == null) resolve();
      else hangUp();
    });
  });
}
