import type { ServerResponse } from 'node:http';
import { servePeer } from './peer.ts';

/** The bare minimum in Node: writes one prepared string to each response, without GraphQL or a filter. */
const responses = new Set<ServerResponse>();

servePeer(
  (request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.write(':\n\n');
    responses.add(response);
    response.on('close', () => responses.delete(response));
  },
  (envelope) => {
    const frame = `id: ${envelope.cursor}\nevent: next\ndata: ${JSON.stringify({ data: { events: envelope } })}\n\n`;
    for (const response of responses) response.write(frame);
  },
);
