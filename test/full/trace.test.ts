import { beforeAll, expect, test, vi } from 'vitest';
import { createGroup, say } from '../support/chat.ts';
import { post, signUp, type Person } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { followEvents } from '../support/stream.ts';
import { expectSpans, sendTraced, traceparentOf, TraceReceiver } from '../support/trace.ts';

let traces: TraceReceiver;
let one: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  traces = await TraceReceiver.start();
  one = await startServer({ env: traces.env });
  await startServer({ env: traces.env, database: one.database });
  [ada, grace] = await Promise.all([signUp(one, 'ada'), signUp(one, 'grace')]);
});

test('a change in a transaction of its own is followed to its event', async () => {
  const traceId = 'd'.repeat(32);
  await post(
    one.url,
    'mutation ($input: CreateChatInput!) { createChat(input: $input) { __typename } }',
    { input: { type: 'GROUP', name: 'a group', memberIds: [grace.userId] } },
    { token: ada.token, headers: { traceparent: traceparentOf(traceId) } },
  );
  await expectSpans(traces, { traceId, name: 'event NewChat' }, 2);
});

test('a row that psql writes starts a trace', async () => {
  const chatId = await createGroup(ada, [grace]);
  await say(ada, chatId, 'first');
  await using stream = await followEvents(one, grace);
  await one.sql.query(`update messages set content = 'changed' where content = 'first'`);
  await stream.next('MessageEdited');
  await vi.waitFor(
    () => {
      const span = traces.spans.find(({ name }) => name === 'event MessageEdited');
      expect(span?.parentSpanId ?? '').toBe('');
      expect(span).toBeDefined();
    },
    { timeout: 20_000 },
  );
});

test('a request whose traceparent is not sampled is not traced, but logged with its trace', async () => {
  const traceId = 'e'.repeat(32);
  const chatId = await createGroup(ada, [grace]);
  await sendTraced(one, ada, { chatId, content: 'not traced', traceparent: traceparentOf(traceId, '00') });
  const later = 'f'.repeat(32);
  await sendTraced(one, ada, { chatId, content: 'traced', traceparent: traceparentOf(later) });
  await expectSpans(traces, { traceId: later, name: 'event NewMessage' }, 2);
  expect(traces.traceOf(traceId)).toEqual([]);
});
