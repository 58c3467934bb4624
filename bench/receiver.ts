import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { serve } from './remote.ts';
import { percentile } from './statistic.ts';

/** How long `reached` waits for the next delivery before it gives up, in ms. */
const patienceMs = 20_000;

/** The parts of a webhook message's body that a receiver needs. */
type Payload = { data: { events: { at: string; event: { message?: { seq: number } } } } };

/** The time from the event to its arrival, in ms. */
export type Delays = { p50: number; p99: number };

let count = 0;
const delays: number[] = [];
let fault: string | null = null;
let onArrival: () => void = () => undefined;

/** Counts a receiver's next message. The first message may have any seq, and the seqs after it must be consecutive. */
function take(last: number, { data }: Payload): number {
  const { at, event } = data.events;
  const seq = event.message?.seq;
  if (seq === undefined) return last;
  if (last !== 0 && seq !== last + 1) fault ??= `message ${seq} came after message ${last}`;
  count += 1;
  delays.push(Date.now() - Date.parse(at));
  onArrival();
  return seq;
}

/**
 * Runs webhook receivers, each on its own port, in a separate process, so that their CPU time is not attributed to any
 * server.
 */
const methods = {
  /** Opens the given number of receivers; returns their ports. */
  async listen({ receivers }: { receivers: number }): Promise<number[]> {
    return Promise.all(
      Array.from({ length: receivers }, async () => {
        let last = 0;
        const answer = async (request: IncomingMessage) => {
          const body = await text(request);
          if (!String(request.headers['webhook-id']).startsWith('ping_'))
            last = take(last, JSON.parse(body) as Payload);
        };
        const server = createServer((request, response) => {
          void answer(request).then(() => response.writeHead(204).end());
        });
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
        return (server.address() as AddressInfo).port;
      }),
    );
  },

  /**
   * Resolves when all receivers together have received `messages` messages since the last call. Throws if a message
   * arrives twice or out of order, or if nothing arrives for `patienceMs`.
   */
  async reached({ messages }: { messages: number }): Promise<Delays> {
    while (!isOver(messages)) await nextArrival(messages);
    if (fault !== null) throw new Error(fault);
    const taken = delays.splice(0, messages);
    count -= messages;
    return { p50: percentile(taken, 50), p99: percentile(taken, 99) };
  },
};

function isOver(messages: number): boolean {
  return count >= messages || fault !== null;
}

function nextArrival(messages: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(new Error(`${count} of ${messages} messages have arrived`));
    const timeout = setTimeout(giveUp, patienceMs);
    onArrival = () => {
      clearTimeout(timeout);
      resolve();
    };
  });
}

/** The methods that another process can call on this one. */
export type ReceiverMethods = typeof methods;

serve(methods);
