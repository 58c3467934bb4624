import process from 'node:process';
import fc from 'fast-check';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { askerKey, type Asker } from '../../src/core/asker.ts';
import type { Batch } from '../../src/live/delivery.ts';
import type { EventRenderer } from '../../src/live/event-renderer.ts';
import { FanOut } from '../../src/live/fan-out.ts';
import type { FindEvents, SegmentReader } from '../../src/live/segment-renderer.ts';
import type { SharedSubscription } from '../../src/live/shared-subscription.ts';
import type { LoggedEvent } from '../../src/log/event.ts';
import type { Segment } from '../../src/log/segment.ts';
import type { Db } from '../../src/postgres/client.ts';
import { Loaders } from '../../src/postgres/loader.ts';

/**
 * A document that shows the text that each event's message has at the time of the read, and records which events were
 * read and executed.
 */
class Document {
  text = 'first text';
  readonly executed: bigint[] = [];
  /** The ids of the events that were read from the log. */
  readonly read: bigint[] = [];
  /** Resolves when the rows that are being read may arrive. */
  mayArrive: Promise<void> = Promise.resolve();
  readonly fanOut = new FanOut({ epoch: () => 'epoch', report: () => undefined, maxComplexityPerPerson: 0 });
  readonly shared: SharedSubscription;
  readonly #isPersonal: (id: bigint) => boolean;
  readonly #eventOf: (id: bigint) => LoggedEvent;

  constructor({
    isPersonal = () => false,
    complexity = 10,
    eventOf = eventWith,
  }: {
    isPersonal?: (id: bigint) => boolean;
    complexity?: number;
    eventOf?: (id: bigint) => LoggedEvent;
  } = {}) {
    this.#isPersonal = isPersonal;
    this.#eventOf = eventOf;
    this.shared = this.fanOut.join('document', 1n, () => this.#rendererOf(complexity));
  }

  /** Returns what the asker gets for these events, read in stretches of at most `limit`. */
  async replay(asker: Asker, ids: readonly bigint[], limit = 512): Promise<{ batches: Batch[]; texts: string[] }> {
    const batches: Batch[] = [];
    const options = this.readerFor(asker);
    for (let from = 0; from < ids.length;) {
      const { segments } = this.shared.segments.cut(ids.slice(from).join(','), limit);
      for (const group of this.shared.segments.group(segments)) {
        batches.push(...((await this.shared.segments.render(group, options)) ?? []).flat());
      }
      from += segments.reduce((sum, { length }) => sum + length, 0);
    }
    return { batches, texts: textsOf(batches) };
  }

  /** Returns the first group of these events. */
  groupOf(ids: readonly bigint[]): readonly Segment[] {
    const { segments } = this.shared.segments.cut(ids.join(','), 512);
    const [group = []] = this.shared.segments.group(segments);
    return group;
  }

  readerFor(asker: Asker): SegmentReader {
    return { asker, reader: Symbol('reader'), findEvents: this.#findEvents };
  }

  /**
   * Lets another reader read an event that precedes all others, so that from now on there is a reader to share
   * executions with.
   */
  async begin(): Promise<void> {
    await this.replay(askerOf(99n), [0n]);
    this.executed.length = 0;
    this.read.length = 0;
  }

  readonly #findEvents: FindEvents = async (segments) => {
    this.read.push(...segments.flatMap(({ ids }) => ids));
    return segments.map((segment) => segment.ids.map(this.#eventOf));
  };

  #rendererOf(complexity: number): EventRenderer {
    let texts = '';
    return {
      wantsPresence: false,
      cost: { complexity, bytes: 100 },
      newLoaders: () => new Loaders({} as Db),
      prefetch: async () => {
        texts = this.text;
        await this.mayArrive;
      },
      render: ({ id }, _, { asker }) => {
        this.executed.push(id);
        // Every tenth event is about an object that no longer exists.
        if (id % 10n === 0n) return null;
        const isPersonal = this.#isPersonal(id);
        const payload = `${id} ${texts}${isPersonal ? ` for ${asker.userId}` : ''}`;
        return { payload, personalTo: isPersonal ? askerKey(asker) : null };
      },
      renderNotice: () => Promise.reject(new Error('there are only events here')),
    };
  }
}

function textsOf(batches: readonly Batch[]): string[] {
  return batches.flatMap(({ renderings }) => renderings.map(({ payload }) => payload));
}

function eventWith(id: bigint): LoggedEvent {
  return { id, kind: 'NewMessage', at: new Date(0), chatId: 1n } as LoggedEvent;
}

function askerOf(userId: bigint): Asker {
  return { kind: 'SESSION', userId, sessionId: userId, expiresAt: new Date(0) };
}

const ids = Array.from({ length: 1_500 }, (_, index) => BigInt(index + 1));
const shown = (list: readonly bigint[], end: string) =>
  list.filter((id) => id % 10n !== 0n).map((id) => `${id} ${end}`);

afterEach(() => vi.restoreAllMocks());

test('events that one reader replays alone are executed again for the second reader, and are then shared with all others', async () => {
  const document = new Document();
  const replay = () => document.replay(askerOf(1n), ids);
  const [first, second, third, fourth] = [await replay(), await replay(), await replay(), await replay()];
  expect(document.executed).toEqual([...ids, ...ids]);
  expect(first.batches.some((batch) => second.batches.includes(batch))).toBe(false);
  expect([third.batches, fourth.batches]).toEqual([second.batches, second.batches]);
  expect(third.batches.every((batch, index) => batch === second.batches[index])).toBe(true);
});

test('readers who only miss later events share nothing with those who replay earlier ones', async () => {
  const document = new Document();
  await document.replay(askerOf(2n), ids.slice(1_490));
  await document.replay(askerOf(1n), ids.slice(0, 1_000));
  await document.replay(askerOf(2n), ids.slice(1_490));
  await document.replay(askerOf(1n), ids.slice(0, 500));
  await document.replay(askerOf(2n), ids.slice(0, 500));
  expect(document.executed.filter((id) => id === 1n)).toHaveLength(2);
});

test('readers who wait for slow rows together share executions', async () => {
  const document = new Document();
  const { promise, resolve } = Promise.withResolvers<void>();
  document.mayArrive = promise;
  const own = ids.slice(0, 300);
  const replays = [1n, 2n, 3n, 4n, 5n].map((userId) => document.replay(askerOf(userId), own));
  await expect.poll(() => document.read.length).toBe(replays.length * own.length);
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 3_000);
  resolve();
  for (const { texts } of await Promise.all(replays)) expect(texts).toEqual(shown(own, 'first text'));
  expect(document.executed.length).toBeLessThanOrEqual(2 * own.length);
});

test('readers with different cursors share executions, batches and their bytes', async () => {
  const document = new Document();
  await document.begin();
  const first = await document.replay(askerOf(1n), ids);
  expect(first.texts).toEqual(shown(ids, 'first text'));
  for (const start of [1, 100, 777, 1_499]) {
    const later = await document.replay(askerOf(2n), ids.slice(start));
    expect(later.texts).toEqual(shown(ids.slice(start), 'first text'));
    const common = later.batches.filter((batch) => first.batches.includes(batch));
    expect(common.length).toBeGreaterThanOrEqual(later.batches.length - 1);
  }
  expect(document.executed).toHaveLength(ids.length);
});

test.each([
  ['is rendered without another read', null, 'first text'],
  ['is rendered without another read if only another chat has had an edit since', 2n, 'first text'],
  ['is read again if a message of its chat has been edited since', 1n, 'second text'],
])('a group that was read ahead %s', async (_, editedIn, text) => {
  const document = new Document();
  const reader = document.readerFor(askerOf(1n));
  const group = document.groupOf(ids);
  const rows = document.shared.segments.readAhead(group, reader);
  await vi.waitUntil(() => document.read.length > 0);
  document.text = 'second text';
  if (editedIn !== null) document.fanOut.forget(editedIn);
  const rendered = await document.shared.segments.render(group, { ...reader, rows });
  const own = group.flatMap((segment) => segment.ids);
  expect(textsOf(rendered?.flat() ?? [])).toEqual(shown(own, text));
  expect(document.read).toEqual(editedIn === 1n ? [...own, ...own] : own);
});

test('a process reads only a few groups ahead, and soon drops those that no one takes', async () => {
  const readAhead = () => {
    const document = new Document();
    return document.shared.segments.readAhead(document.groupOf(ids), document.readerFor(askerOf(1n)));
  };
  const groups = Array.from({ length: 20 }, readAhead);
  expect(groups.filter((rows) => rows !== null).length).toBeLessThanOrEqual(8);
  expect(readAhead()).toBeNull();
  await expect.poll(readAhead).not.toBeNull();
});

test.each([
  ['rendered', false],
  ['read ahead', true],
])('the error of a group that cannot be %s reaches its reader, and not the process', async (_, isAhead) => {
  const unhandled = vi.fn<() => void>();
  process.on('unhandledRejection', unhandled);
  onTestFinished(() => void process.off('unhandledRejection', unhandled));
  const document = new Document();
  const group = document.groupOf(ids);
  const reader = {
    ...document.readerFor(askerOf(1n)),
    findEvents: () => Promise.reject(new Error('the database is away')),
  };
  const rows = isAhead ? document.shared.segments.readAhead(group, reader) : null;
  await expect(document.shared.segments.render(group, { ...reader, rows })).rejects.toThrow('the database is away');
  expect(unhandled).not.toHaveBeenCalled();
});

test('readers of different chats share executions, too', async () => {
  const document = new Document();
  await document.begin();
  const odd = ids.filter((id) => id % 2n === 1n || id % 5n === 0n);
  expect((await document.replay(askerOf(1n), ids)).texts).toEqual(shown(ids, 'first text'));
  expect((await document.replay(askerOf(2n), odd)).texts).toEqual(shown(odd, 'first text'));
  expect(document.executed).toHaveLength(ids.length);
  expect(document.read).toHaveLength(ids.length);
});

test('each reader of a personal document gets their own renderings', async () => {
  const document = new Document({ isPersonal: () => true });
  for (const userId of [1n, 2n, 1n]) {
    const { texts } = await document.replay(askerOf(userId), ids.slice(0, 300));
    expect(texts).toEqual(shown(ids.slice(0, 300), `first text for ${userId}`));
  }
});

test("a reader of a document that is personal only for some events gets no one else's renderings", async () => {
  const isPersonal = (id: bigint) => id % 97n === 0n;
  const document = new Document({ isPersonal });
  await document.begin();
  for (const userId of [1n, 2n, 3n, 1n]) {
    const { texts } = await document.replay(askerOf(userId), ids);
    expect(texts.filter((text) => text.includes('for'))).toEqual(
      shown(ids.filter(isPersonal), `first text for ${userId}`),
    );
    expect(texts).toHaveLength(shown(ids, '').length);
  }
  // An event that is not personal is executed only once.
  const personalCount = ids.filter(isPersonal).length;
  expect(document.executed.length).toBeLessThanOrEqual(ids.length + 3 * personalCount);
});

test('a rendering from before an edit is not shown after it, even if its rows were still on their way', async () => {
  const document = new Document();
  const { promise, resolve } = Promise.withResolvers<void>();
  document.mayArrive = promise;
  const early = document.replay(askerOf(1n), ids.slice(0, 300));
  await expect.poll(() => document.read.length).toBe(300);
  document.text = 'second text';
  document.fanOut.forget(1n);
  resolve();
  // The edit comes later in the log.
  expect((await early).texts).toEqual(shown(ids.slice(0, 300), 'first text'));
  const late = await document.replay(askerOf(2n), ids.slice(0, 300));
  expect(late.texts).toEqual(shown(ids.slice(0, 300), 'second text'));
});

test('an edit concerns the renderings of its chat and of events without a chat, and no others', async () => {
  const of = (id: bigint) => ({ ...eventWith(id), chatId: [1n, 2n, null][Number(id / 500n)] ?? null });
  const [first, second, chatless] = [ids.slice(0, 499), ids.slice(499, 999), ids.slice(999, 1_400)];
  const document = new Document({ eventOf: of });
  for (const list of [first, second, chatless]) await document.replay(askerOf(1n), list);
  document.text = 'second text';
  document.fanOut.forget(1n);
  expect((await document.replay(askerOf(2n), first)).texts).toEqual(shown(first, 'second text'));
  expect((await document.replay(askerOf(2n), second)).texts).toEqual(shown(second, 'first text'));
  expect((await document.replay(askerOf(2n), chatless)).texts).toEqual(shown(chatless, 'second text'));
  // There are more chats here than the fan-out tracks separately.
  document.text = 'third text';
  for (let chatId = 10n; chatId < 1_500n; chatId += 1n) document.fanOut.forget(chatId);
  for (const list of [first, second]) {
    expect((await document.replay(askerOf(3n), list)).texts).toEqual(shown(list, 'third text'));
  }
});

test('however readers and stretches differ, all get every event once and in order', async () => {
  const reader = fc.record({
    userId: fc.bigInt(1n, 4n),
    step: fc.bigInt(1n, 4n),
    start: fc.nat(1_400),
    limit: fc.constantFrom(1, 10, 100, 512),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(reader, { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      fc.constantFrom(10, 400, 10_000),
      async (readers, isPersonal, complexity) => {
        const document = new Document({ isPersonal: () => isPersonal, complexity });
        await Promise.all(
          readers.map(async ({ userId, step, start, limit }) => {
            const own = ids.slice(start).filter((id) => id % step === 0n);
            const { texts } = await document.replay(askerOf(userId), own, limit);
            expect(texts).toEqual(shown(own, `first text${isPersonal ? ` for ${userId}` : ''}`));
          }),
        );
        expect(isPersonal || document.executed.length <= ids.length).toBe(true);
      },
    ),
    { numRuns: 30 },
  );
});
