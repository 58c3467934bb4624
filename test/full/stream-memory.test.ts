import { expect, test } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { createGroup, insertMessage, insertMessages } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { Reader } from '../support/reader.ts';
import { runServer } from '../support/server-process.ts';
import { startServer } from '../support/server.ts';

const jwtKeys = generateKeySet();
const server = await startServer({ env: { JWT_KEYS: jwtKeys } });
const ada = await signUp(server, 'ada');
const grace = await signUp(server, 'grace');
const linus = await signUp(server, 'linus');

const flood = (chatId: string, count: number, length: number) => insertMessages(server, chatId, ada, { count, length });

/** Starts a node in a separate process. Returns it with a function that reads the size of its heap. */
async function startMeasured(env: Record<string, string> = {}) {
  const serving = runServer(
    { DATABASE_URL: server.database.url, JWT_KEYS: jwtKeys, MAX_STREAMS_PER_SESSION: '1000', ...env },
    [process.execPath, '--expose-gc', '--import', './test/support/fault-heap.ts', 'src/main.ts'],
  );
  const node = { url: await serving.url };
  let samples = 0;
  const readHeap = async () => {
    samples += 1;
    serving.kill('SIGUSR2');
    const output = await serving.said(`heap ${samples}: `);
    return Number(new RegExp(`heap ${samples}: (\\d+)`).exec(output)?.[1]);
  };
  return { node, readHeap };
}

test('200 stalled readers hold no memory while 10,000 events pass, and slow no one else down', async () => {
  const { node, readHeap } = await startMeasured();
  const chatId = await createGroup(ada, [grace]);
  const live = await new Reader(node, ada).live();
  const stalled = Array.from({ length: 200 }, () => new Reader(node, grace));
  await Promise.all(stalled.map((reader) => reader.live()));
  await flood(chatId, 50, 100);
  await Promise.all([live, ...stalled].map((reader) => reader.until(() => reader.heardCount === 50)));
  const latencyBefore = await measureLatency(chatId, live);
  const before = await readHeap();

  for (const reader of stalled) reader.stall();
  for (let floods = 1; floods <= 10; floods += 1) {
    await flood(chatId, 1_000, 4_000);
    await live.until(() => live.heardCount === 100 + 1_000 * floods);
  }
  const after = await readHeap();
  const latencyAfter = await measureLatency(chatId, live);
  expect(after - before).toBeLessThan(15_000_000);
  expect(latencyAfter).toBeLessThan(10 * latencyBefore + 20);
});

test('for a reader that stalls while it catches up, no more than its buffer is held', async () => {
  const { node, readHeap } = await startMeasured({ MAX_STREAM_BUFFER_BYTES: '16384' });
  const chatId = await createGroup(ada, [grace]);
  const cursor = (await grace.ask('{ viewer { eventCursor } }')).viewer.eventCursor;
  await flood(chatId, 1_500, 9_000);
  const elsewhere = await createGroup(ada, [linus]);
  const live = await new Reader(node, ada).live();
  await measureLatency(elsewhere, live);
  const before = await readHeap();
  const stalled = Array.from({ length: 30 }, () => new Reader(node, grace, { cursor }));
  for (const reader of stalled) reader.stall();
  await Promise.all(stalled.map((reader) => reader.until(() => reader.streamCount === 1)));
  // Each stream sends what fits into the socket buffers and then stalls, so the heap stops growing.
  let atRest = 0;
  const findChange = async () => {
    const last = atRest;
    await measureLatency(elsewhere, live);
    atRest = await readHeap();
    return Math.abs(atRest - last);
  };
  await expect.poll(findChange, { timeout: 30_000 }).toBeLessThan(500_000);
  expect(atRest - before).toBeLessThan(15_000_000);
  // The node does not hold events that happen in the meantime for these streams either.
  const heardCount = live.heardCount + 3_000;
  await flood(chatId, 3_000, 9_000);
  await live.until(() => live.heardCount === heardCount);
  expect((await readHeap()) - atRest).toBeLessThan(15_000_000);
});

/** Returns the median time from the start of a write to its frame, in ms. */
async function measureLatency(chatId: string, reader: Reader): Promise<number> {
  const times: number[] = [];
  for (let samples = 0; samples < 50; samples += 1) {
    const count = reader.heardCount + 1;
    const start = performance.now();
    await insertMessage(server, chatId, ada, 'how long does this take?');
    await reader.until(() => reader.heardCount === count);
    times.push(performance.now() - start);
  }
  return times.toSorted((a, b) => a - b)[25] ?? 0;
}
