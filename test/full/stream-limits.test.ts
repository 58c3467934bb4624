import { expect, test, vi } from 'vitest';
import { signUp } from '../support/client.ts';
import { startServer } from '../support/server.ts';
import { give, openReserved, reserve } from '../support/single.ts';
import { followEvents, type EventStream } from '../support/stream.ts';

const closeAll = (streams: EventStream[]) => Promise.all(streams.map((stream) => stream.close()));

test('0 means no limit', async () => {
  const names = [
    'MAX_STREAMS_PER_SESSION',
    'MAX_STREAMS_PER_ADDRESS',
    'MAX_OPERATIONS_PER_STREAM',
    'MAX_STREAM_BUFFER_BYTES',
  ];
  await using server = await startServer({ env: Object.fromEntries(names.map((name) => [name, '0'])) });
  const ada = await signUp(server, 'ada');
  const streams = await Promise.all(Array.from({ length: 25 }, () => followEvents(server, ada)));
  const token = await reserve(server, ada);
  const statuses = await Promise.all(
    Array.from({ length: 120 }, async (_, id) => {
      const query = `{ __typename } #${'x'.repeat(20_000)}`;
      return (await give(server, ada, token, { id: String(id), query })).status;
    }),
  );
  expect(new Set(statuses)).toEqual(new Set([202]));
  await using stream = await openReserved(server, ada, token);
  await vi.waitFor(() => expect(stream.frames.filter(({ event }) => event === 'complete')).toHaveLength(120), 10_000);
  await closeAll(streams);
});
