import type pg from 'pg';
import { afterEach, expect, test, vi } from 'vitest';
import { MissedEvents } from '../../src/log/missed-events.ts';
import { cutSegments, type Segment } from '../../src/log/segment.ts';

/** A log that contains every event, and records what was read from it. */
class Log {
  readonly reads: bigint[][] = [];
  /** The statements whose rows have not arrived yet. */
  #held: (() => void)[] | null = null;

  get pool(): pg.Pool {
    return { query: (statement: { values: [bigint[]] }) => this.#read(statement.values[0]) } as unknown as pg.Pool;
  }

  hold(): void {
    this.#held = [];
  }

  release(): void {
    for (const resolve of this.#held ?? []) resolve();
    this.#held = null;
  }

  async #read(ids: bigint[]): Promise<{ rows: { id: bigint }[] }> {
    this.reads.push(ids);
    if (this.#held !== null) await new Promise<void>((resolve) => void this.#held?.push(resolve));
    return { rows: ids.map((id) => ({ id })) };
  }
}

/** Returns `count` segments of 100 events each, starting at event `first`. */
function segmentsFrom(first: number, count: number): Segment[] {
  const ids = Array.from({ length: 100 * count }, (_, index) => first + index).join(',');
  const { segments } = cutSegments(ids, { limit: 100 * count + 1, most: 100 });
  return segments;
}

const idsOf = (segments: readonly Segment[]) => segments.map(({ ids }) => ids);
const found = async (missed: MissedEvents, segments: readonly Segment[]) =>
  (await missed.find(segments, Symbol('reader')))?.map((events) => events.map(({ id }) => id));

afterEach(() => vi.restoreAllMocks());

test('events that are dropped to make room for the rest of a find are found nevertheless', async () => {
  const log = new Log();
  const missed = new MissedEvents(log.pool, () => 'epoch');
  const [oldest, ...others] = segmentsFrom(1, 190);
  if (oldest === undefined) throw new Error('there are segments');
  // The cache keeps the events that the second reader reads.
  await missed.find([oldest], Symbol('reader'));
  expect(await found(missed, [oldest])).toEqual(idsOf([oldest]));
  await missed.find(others, Symbol('reader'));
  const both = [oldest, ...segmentsFrom(100_000, 20)];
  expect(await found(missed, both)).toEqual(idsOf(both));
});

test('events that are dropped while others are being read are found nevertheless', async () => {
  const log = new Log();
  const missed = new MissedEvents(log.pool, () => 'epoch');
  const [late, known] = [segmentsFrom(1, 1), segmentsFrom(1_000, 1)];
  for (const reader of [Symbol('first'), Symbol('second')]) await missed.find(known, reader);
  log.hold();
  const finding = found(missed, [...late, ...known]);
  const filling = missed.find(segmentsFrom(100_000, 199), Symbol('reader'));
  log.release();
  await filling;
  expect(await finding).toEqual(idsOf([...late, ...known]));
});

test('each event is read once for all who look for it at the same time', async () => {
  const log = new Log();
  const missed = new MissedEvents(log.pool, () => 'epoch');
  const segments = segmentsFrom(1, 5);
  const results = await Promise.all([found(missed, segments), found(missed, segments.slice(2))]);
  expect(results).toEqual([idsOf(segments), idsOf(segments.slice(2))]);
  expect(log.reads.flat()).toHaveLength(500);
});

test('a read that takes too long does not hold up those who want the same events later', async () => {
  const log = new Log();
  const missed = new MissedEvents(log.pool, () => 'epoch');
  const segments = segmentsFrom(1, 5);
  log.hold();
  const early = found(missed, segments);
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 3_000);
  const late = found(missed, segments);
  expect(log.reads).toHaveLength(2);
  log.release();
  expect(await Promise.all([early, late])).toEqual([idsOf(segments), idsOf(segments)]);
});

test('events are kept once a second reader wants them', async () => {
  const log = new Log();
  const missed = new MissedEvents(log.pool, () => 'epoch');
  const segments = segmentsFrom(1, 5);
  const counts: number[] = [];
  for (let reader = 0; reader < 4; reader += 1) {
    expect(await found(missed, segments)).toEqual(idsOf(segments));
    counts.push(log.reads.flat().length);
  }
  expect(counts).toEqual([500, 1_000, 1_000, 1_000]);
});
