import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createGroup, say } from '../support/chat.ts';
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
  await startServer({ env, database: one.database });
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

test('a change in a transaction of its own is followed to its event', async () => {
  const traceId = 'd'.repeat(32);
  await post(
    one.url,
    'mutation ($input: CreateChatInput!) { createChat(input: $input) { __typename } }',
    { input: { type: 'GROUP', name: 'a group', memberIds: [grace.userId] } },
    { token: ada.token, headers: { traceparent: traceparentOf(traceId) } },
  );
  await expectSpans(traceId, 'event NewChat', 2);
});

test('a row that psql writes starts a trace', async () => {
  const chatId = await createGroup(ada, [grace]);
  await say(ada, chatId, 'first');
  await using stream = await followEvents(one, grace);
  await one.sql.query(`update messages set content = 'changed' where content = 'first'`);
  await stream.next('MessageEdited');
  await vi.waitFor(
    () => {
      const span = spans.find(({ name }) => name === 'event MessageEdited');
      expect(span?.parentSpanId ?? '').toBe('');
      expect(span).toBeDefined();
    },
    { timeout: 20_000 },
  );
});

test('a request whose traceparent is not sampled is not traced, but logged with its trace', async () => {
  const traceId = 'e'.repeat(32);
  const chatId = await createGroup(ada, [grace]);
  await send(ada, chatId, 'not traced', traceparentOf(traceId, '00'));
  const later = 'f'.repeat(32);
  await send(ada, chatId, 'traced', traceparentOf(later));
  await expectSpans(later, 'event NewMessage', 2);
  expect(traceOf(traceId)).toEqual([]);
});
