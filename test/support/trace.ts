import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, vi } from 'vitest';
import { post, type Person } from './client.ts';
import { atFileEnd } from './file-end.ts';

/** A span as OTLP sends it in JSON, and the node that sent it. */
export type Span = {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  startTimeUnixNano: string;
  node: string;
};

/** Receives the traces of nodes that were started with its `env`. */
export class TraceReceiver {
  /** Every span that has arrived so far. */
  readonly spans: Span[] = [];
  readonly requests: IncomingMessage[] = [];
  readonly #server = createServer((request, response) => void this.#receive(request, response));

  /** Starts a receiver that listens until the test file ends. */
  static async start(): Promise<TraceReceiver> {
    const receiver = new TraceReceiver();
    receiver.#server.listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    atFileEnd(() => {
      receiver.#server.closeAllConnections();
      receiver.#server.close();
    });
    return receiver;
  }

  /** The settings of a node that traces every request and sends its traces here. */
  get env(): Record<string, string> {
    return {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=open%20sesame',
      OTEL_TRACES_SAMPLER_ARG: '1',
    };
  }

  /** Returns the spans of a trace so far, in the order in which they began. */
  traceOf(traceId: string): Span[] {
    return this.spans
      .filter((span) => span.traceId === traceId)
      .toSorted((a, b) => Number(BigInt(a.startTimeUnixNano) - BigInt(b.startTimeUnixNano)));
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests.push(request);
    for (const { resource, scopeSpans } of JSON.parse(await text(request)).resourceSpans) {
      const node = resource.attributes.find((each: { key: string }) => each.key === 'service.instance.id');
      for (const scope of scopeSpans) {
        for (const span of scope.spans) this.spans.push({ ...span, node: node.value.stringValue });
      }
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }
}

/** Waits until a trace has a span with this name on each of `nodes` nodes. Returns the trace. */
export function expectSpans(
  traces: TraceReceiver,
  { traceId, name }: { traceId: string; name: string },
  nodes: number,
): Promise<Span[]> {
  return vi.waitFor(
    () => {
      const trace = traces.traceOf(traceId);
      const nodesWithIt = new Set(trace.filter((span) => span.name === name).map(({ node }) => node));
      expect(nodesWithIt.size, trace.map((span) => span.name).join(', ')).toBe(nodes);
      return trace;
    },
    { timeout: 20_000, interval: 100 },
  );
}

/**
 * Returns the `traceparent` header of a request in that trace (W3C Trace Context). The flags 01 mean that the trace is
 * sampled.
 */
export const traceparentOf = (traceId: string, flags = '01'): string => `00-${traceId}-00f067aa0ba902b7-${flags}`;

const sendDocument = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }';

/** Sends a message in a request with that header. */
export async function sendTraced(
  server: { url: string },
  by: Person,
  { traceparent, ...input }: { chatId: string; content: string; traceparent: string },
): Promise<void> {
  const { data } = await post(server.url, sendDocument, { input }, { token: by.token, headers: { traceparent } });
  expect(data).toEqual({ sendMessage: { __typename: 'Message' } });
}
