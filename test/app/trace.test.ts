import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createGroup } from '../support/chat.ts';
import { post, signUp, type Person } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { followEvents } from '../support/stream.ts';

type Span = {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  node: string;
  attributes: { key: string; value: { stringValue?: string; intValue?: number | string } }[];
};

/** What the receiver of traces has got. */
const spans: Span[] = [];
const requests: IncomingMessage[] = [];
const receiver = createServer((request, response) => void receive(request, response));

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  requests.push(request);
  for (const { resource, scopeSpans } of JSON.parse(await text(request)).resourceSpans) {
    const node = resource.attributes.find((each: { key: string }) => each.key === 'service.instance.id');
    for (const scope of scopeSpans) {
      for (const span of scope.spans) spans.push({ ...span, node: node.value.stringValue });
    }
  }
  response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
}

let one: TestServer;
let other: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-key=open%20sesame',
    OTEL_TRACES_SAMPLER_ARG: '1',
  };
  one = await startServer({ env });
  other = await startServer({ env, database: one.database });
  [ada, grace] = await Promise.all([signUp(one, 'ada'), signUp(one, 'grace')]);
});
afterAll(() => {
  receiver.closeAllConnections();
  receiver.close();
});

function traceOf(traceId: string): Span[] {
  return spans
    .filter((span) => span.traceId === traceId)
    .toSorted((a, b) => Number(BigInt(a.startTimeUnixNano) - BigInt(b.startTimeUnixNano)));
}

/** Waits until a trace has a span with this name on each of so many nodes. */
function expectSpans(traceId: string, name: string, nodes: number): Promise<Span[]> {
  return vi.waitFor(
    () => {
      const trace = traceOf(traceId);
      const nodesWithIt = new Set(trace.filter((span) => span.name === name).map(({ node }) => node));
      expect(nodesWithIt.size, trace.map((span) => span.name).join(', ')).toBe(nodes);
      return trace;
    },
    { timeout: 20_000, interval: 100 },
  );
}

const traceparentOf = (traceId: string, flags = '01') => `00-${traceId}-00f067aa0ba902b7-${flags}`;

const sendMessage = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }';

async function send(by: Person, chatId: string, content: string, traceparent: string): Promise<void> {
  const input = { chatId, content };
  const { data } = await post(one.url, sendMessage, { input }, { token: by.token, headers: { traceparent } });
  expect(data).toEqual({ sendMessage: { __typename: 'Message' } });
}

test('a message is one trace from its request to the frames on two nodes', async () => {
  const chatId = await createGroup(ada, [grace]);
  await using here = await followEvents(one, ada);
  await using there = await followEvents(other, grace);
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  await send(ada, chatId, 'a confidential text', traceparentOf(traceId));
  await Promise.all([here.next('NewMessage'), there.next('NewMessage')]);

  const trace = await expectSpans(traceId, 'send frames', 2);
  const find = (name: string) => {
    const span = trace.find((each) => each.name === name);
    if (span === undefined) throw new Error(`no ${name} in ${trace.map((each) => each.name).join(', ')}`);
    return span;
  };
  const event = find('event NewMessage');
  const rendered = trace.filter(({ name, node }) => name === 'render' && node === event.node);
  const chain = [find('POST graphql'), find('sendMessage'), find('group commit'), event, ...rendered];
  expect(chain).toHaveLength(5);
  expect(chain[0]?.parentSpanId).toBe('00f067aa0ba902b7');
  const parents = chain.slice(1).map(({ parentSpanId }) => parentSpanId);
  expect(parents).toEqual(chain.slice(0, -1).map(({ spanId }) => spanId));
  expect(find('commit').parentSpanId).toBe(find('group commit').spanId);
  for (const name of ['event NewMessage', 'render', 'send frames']) {
    expect(new Set(trace.filter((span) => span.name === name).map(({ node }) => node)).size, name).toBe(2);
  }
  const begins = chain.map(({ startTimeUnixNano }) => Number(BigInt(startTimeUnixNano) / 1_000_000n));
  // The log has whole milliseconds, so its times may be off by one.
  const early = begins.filter((begin, index) => begin < (begins[index - 1] ?? 0) - 1);
  expect(early).toEqual([]);
  expect(requests[0]?.headers['x-key']).toBe('open sesame');
  expect(JSON.stringify(spans)).not.toContain('confidential');
});

test('messages that are committed together keep their own traces', async () => {
  const people = await Promise.all(['kay', 'liz', 'meg'].map((name) => signUp(one, name)));
  const sends = await Promise.all(
    people.map(async (person, index) => ({
      person,
      chatId: await createGroup(person, [grace]),
      traceId: String.fromCodePoint(97 + index).repeat(32),
    })),
  );
  await Promise.all(sends.map(({ person, chatId, traceId }) => send(person, chatId, 'hello', traceparentOf(traceId))));
  for (const { traceId } of sends) {
    const trace = await expectSpans(traceId, 'event NewMessage', 2);
    expect(trace.filter(({ name }) => name === 'event NewMessage')).toHaveLength(2);
  }
});
