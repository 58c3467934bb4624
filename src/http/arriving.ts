import type { IncomingMessage } from 'node:http';
import type { Services } from '../api/context.ts';
import type { Asker } from '../core/asker.ts';

/**
 * The sender of files, their address, and the size that the request declares in bytes (null: it declares none); for
 * `Arrivals.during`.
 */
export function senderOf({ addressOf }: Services, asker: Asker, request: IncomingMessage) {
  const declared = request.headers['content-length'];
  return { asker, address: addressOf(request), declaredBytes: declared === undefined ? null : Number(declared) };
}
