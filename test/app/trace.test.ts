import { beforeAll, expect, test } from 'vitest';
import { createGroup } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { followEvents } from '../support/stream.ts';
import { expectSpans, sendTraced, traceparentOf, TraceReceiver } from '../support/trace.ts';

let traces: TraceReceiver;
let one: TestServer;
let other: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  traces = await TraceReceiver.start();
  one = await startServer({ env: traces.env });
  other = await startServer({ env: traces.env, database: one.database });
  [ada, grace] = await Promise.all([signUp(one, 'ada'), signUp(one, 'grace')]);
});

test('a message is one trace from its request to the frames on two nodes', async () => {
  const chatId = await createGroup(ada, [grace]);
  await using here = await followEvents(one, ada);
  await using there = await followEvents(other, grace);
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  await sendTraced(one, ada, { chatId, content: 'a confidential text', traceparent: traceparentOf(traceId) });
  await Promise.all([here.next('NewMessage'), there.next('NewMessage')]);

  const trace = await expectSpans(traces, { traceId, name: 'send frames' }, 2);
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
  // The times in the log are in whole milliseconds, so they may be off by one.
  const early = begins.filter((begin, index) => begin < (begins[index - 1] ?? 0) - 1);
  expect(early).toEqual([]);
  expect(traces.requests[0]?.headers['x-key']).toBe('open sesame');
  expect(JSON.stringify(traces.spans)).not.toContain('confidential');
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
  await Promise.all(
    sends.map(({ person, chatId, traceId }) =>
      sendTraced(one, person, { chatId, content: 'hello', traceparent: traceparentOf(traceId) }),
    ),
  );
  for (const { traceId } of sends) {
    const trace = await expectSpans(traces, { traceId, name: 'event NewMessage' }, 2);
    expect(trace.filter(({ name }) => name === 'event NewMessage')).toHaveLength(2);
  }
});
