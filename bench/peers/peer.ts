import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { serve } from '../remote.ts';
import { createEnvelope, type Envelope } from './schema.ts';

/** The methods that the benchmark calls on a peer. */
export type PeerMethods = {
  listen: () => Promise<number>;
  publish: (input: { count: number }) => void;
};

/** Runs a server for comparison with parley. `publish` sends one event to the peer's subscribers. */
export function servePeer(listener: RequestListener, publish: (envelope: Envelope) => void): void {
  let seq = 0;
  serve({
    listen: async () => {
      const server = createServer(listener).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('the peer is not listening on a port');
      return address.port;
    },
    publish: ({ count }) => {
      for (let number = 0; number < count; number += 1) {
        seq += 1;
        publish(createEnvelope(seq));
      }
    },
  } satisfies PeerMethods);
}
