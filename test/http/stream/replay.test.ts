import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, test, vi } from 'vitest';
import type { EventRequest } from '../../../src/api/event-request.ts';
import type { Asker } from '../../../src/core/asker.ts';
import { Pace } from '../../../src/http/stream/pace.ts';
import { Replay } from '../../../src/http/stream/replay.ts';
import type { Sink } from '../../../src/http/stream/sink.ts';
import { EventSubscription } from '../../../src/http/stream/subscription.ts';
import { bytesOf, type Batch } from '../../../src/live/delivery.ts';
import { FanOut } from '../../../src/live/fan-out.ts';
import type { FindEvents } from '../../../src/live/segment-renderer.ts';
import type { SharedSubscription } from '../../../src/live/shared-subscription.ts';
import type { Realtime } from '../../../src/live/realtime.ts';
import type { LoggedEvent } from '../../../src/log/event.ts';
import type { MissedStretch, Range } from '../../../src/log/missed-stretch.ts';
import type { Db } from '../../../src/postgres/client.ts';
import { Loaders } from '../../../src/postgres/loader.ts';

afterEach(() => void vi.useRealTimers());

const asker: Asker = { kind: 'SESSION', userId: 1n, sessionId: 1n, expiresAt: new Date(0) };

/**
 * Returns a document that shows `length` characters of each event, but shows nothing for events for which `isShown`
 * returns false.
 */
function documentWith({
  length = 100,
  complexity = 10,
  isShown = () => true,
}: { length?: number; complexity?: number; isShown?: (id: bigint) => boolean } = {}): SharedSubscription {
  const fanOut = new FanOut({ epoch: () => 'epoch', report: () => undefined, maxComplexityPerPerson: 0 });
  return fanOut.join('document', 1n, () => ({
    wantsPresence: false,
    cost: { complexity, bytes: 100 },
    newLoaders: () => new Loaders({} as Db),
    prefetch: () => Promise.resolve(),
    render: ({ id }) => (isShown(id) ? { payload: String(id).padEnd(length), personalTo: null } : null),
    renderNotice: () => Promise.resolve({ payload: 'notice', personalTo: null }),
  }));
}

/** A socket that accepts only part of what it gets at once: `room` bytes at a time. */
class Socket implements Sink {
  readonly isOpen = true;
  readonly isCongested = false;
  readonly isReadyForTyping = true;
  readonly sent: bigint[] = [];
  unsent = 0;
  mostUnsent = 0;
  readonly #room: () => number;

  constructor(room: () => number) {
    this.#room = room;
  }

  send(batch: Batch): void {
    this.sent.push(...batch.renderings.map(({ eventId }) => eventId));
    this.unsent += bytesOf(batch);
    this.mostUnsent = Math.max(this.mostUnsent, this.unsent);
  }

  takesAll(): boolean {
    this.unsent = Math.max(0, this.unsent - this.#room());
    return this.unsent === 0;
  }

  async drained(): Promise<void> {
    this.unsent = 0;
  }

  finish(): void {}

  interrupt(): void {}
}

const findEvents: FindEvents = async (segments) =>
  segments.map(({ ids }) => ids.map((id): LoggedEvent => ({ id, kind: 'NewMessage', at: new Date(0) }) as LoggedEvent));

/** Returns a log with the events from 1 to `head`, and the ranges that were read from it. */
function logWith(head: number) {
  const reads: Range[] = [];
  const readStretch = async (range: Range): Promise<MissedStretch> => {
    reads.push(range);
    const from = Number(range.after) + 1;
    const count = Math.min(range.limit, Number(range.through < BigInt(head) ? range.through : BigInt(head)) - from + 1);
    const ids = Array.from({ length: Math.max(0, count) }, (_, index) => from + index).join(',');
    return { ids, prunedThrough: 0n, isKnown: true, isSessionLive: true };
  };
  return { reads, readStretch };
}

const noLimits = { maxEvents: 0, maxBytes: 0 };
const upTo = (last: number) => Array.from({ length: last }, (_, index) => BigInt(index + 1));

async function replayAll(
  head: number,
  { sink, first, document = documentWith() }: { sink: Socket; first?: number; document?: SharedSubscription },
) {
  const { reads, readStretch } = logWith(head);
  const replay = new Replay({
    asker,
    shared: document,
    sink,
    limits: noLimits,
    pace: new Pace(first),
    readStretch,
    findEvents,
    isOver: () => false,
  });
  let position = 0n;
  while (position < BigInt(head)) {
    const { stretch, range } = await replay.read(position, BigInt(head));
    const next = await replay.send(stretch, range);
    expect(next).toBeGreaterThan(position);
    position = next;
    await sink.drained();
  }
  return { reads, position };
}

test.each([
  ['has room for everything', () => Infinity],
  ['has no room', () => 0],
  ['has room for a little more than a batch', () => 40_000],
  ['has room now and then', (): number => [0, 5_000, 1_000_000][(turn += 1) % 3] ?? 0],
])('a socket that %s gets every event once and in order', async (_, room) => {
  for (const length of [10, 3_000, 50_000]) {
    for (const first of [1, 512]) {
      const sink = new Socket(room);
      await replayAll(600, { sink, first, document: documentWith({ length }) });
      expect(sink.sent).toEqual(upTo(600));
      expect(sink.mostUnsent).toBeLessThan(150_000);
    }
  }
});

let turn = 0;

test('a replay continues after a stretch in which nothing is shown', async () => {
  const sink = new Socket(() => Infinity);
  const { reads } = await replayAll(5_000, { sink, document: documentWith({ isShown: (id) => id > 4_990n }) });
  expect(sink.sent).toEqual(upTo(5_000).slice(-10));
  expect(reads.length).toBeLessThan(20);
});

test('a reader who is slower than a large document gets little of the log at a time', async () => {
  const sink = new Socket(() => 0);
  const { reads } = await replayAll(1_000, { sink, document: documentWith({ complexity: 1_000 }) });
  expect(sink.sent).toEqual(upTo(1_000));
  expect(reads.reduce((sum, { limit }) => sum + limit, 0)).toBeLessThan(4_000);
});

test.each([1, 2, 10, 511, 512, 513, 1_024])('a replay of exactly %i events ends', async (count) => {
  const sink = new Socket(() => Infinity);
  await replayAll(count, { sink });
  expect(sink.sent).toEqual(upTo(count));
});

test('a stretch that was read ahead is not used when the socket has taken long to drain', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const sink = new Socket(() => Infinity);
  const { reads, readStretch } = logWith(10_000);
  const options = { asker, shared: documentWith(), sink, limits: noLimits, pace: new Pace(), readStretch, findEvents };
  const replay = new Replay({ ...options, isOver: () => false });
  let position = 0n;
  const goOn = async () => {
    const before = reads.length;
    const { stretch, range } = await replay.read(position, 10_000n);
    const readCount = reads.length - before;
    position = await replay.send(stretch, range);
    return readCount;
  };
  while (reads.at(-1)?.after !== position) await goOn();
  expect(await goOn()).toBe(0);
  vi.advanceTimersByTime(1_001);
  expect(await goOn()).toBe(1);
  expect(sink.sent).toEqual(upTo(Number(position)));
});

test('a subscription renders nothing before its node has passed everything up to the head of the log', async () => {
  const sink = new Socket(() => Infinity);
  const passed = Promise.withResolvers<void>();
  const { reads, readStretch } = logWith(100);
  const realtime = {
    hub: { join: () => Promise.resolve({ head: 100n, isSessionLive: true }), leave: () => undefined },
    epoch: () => 'epoch',
    report: () => undefined,
    whenAt: () => passed.promise,
    retry: (work: () => Promise<unknown>) => work(),
    readMissed: (_: unknown, range: Range) => readStretch(range),
    findEvents,
  } as unknown as Realtime;
  const request = { asker, chatId: null, isPublic: false, after: { epoch: 'epoch', id: 0n } } as EventRequest;
  const subscription = new EventSubscription({
    request,
    shared: documentWith(),
    sink,
    realtime,
    replayLimits: noLimits,
  });
  const opening = subscription.open();
  for (let turns = 0; turns < 5; turns += 1) await nextTurn();
  expect([reads, sink.sent]).toEqual([[], []]);
  passed.resolve();
  await opening;
  expect(sink.sent).toEqual([...upTo(100), 100n]);
});
