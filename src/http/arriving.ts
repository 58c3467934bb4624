import type { IncomingMessage } from 'node:http';
import type { Services } from '../api/context.ts';
import type { Asker } from '../core/asker.ts';

/**
 * Returns the sender of the files in a request, the sender's address, and the size in bytes that the request declares,
 * or null if it declares none. The result is for `Arrivals.during`.
 */
export function senderOf({ addressOf }: Services, asker: Asker, request: IncomingMessage) {
  const declared = request.headers['content-length'];
  return { asker, address: addressOf(request), declaredBytes: declared === undefined ? null : Number(declared) };
}
