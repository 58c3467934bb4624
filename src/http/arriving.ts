import type { IncomingMessage } from 'node:http';
import type { Services } from '../api/context.ts';
import type { Asker } from '../core/asker.ts';

/** Who sends files, from which address, and how much the request says it is (null: it doesn't); for `Arrivals.during`. */
export function senderOf({ addressOf }: Services, asker: Asker, request: IncomingMessage) {
  const declared = request.headers['content-length'];
  return { asker, address: addressOf(request), declaredBytes: declared === undefined ? null : Number(declared) };
}
