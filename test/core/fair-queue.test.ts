import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FairQueue, type FairQueueOptions } from '../../src/core/fair-queue.ts';
import { RateLimited } from '../../src/errors.ts';

const roomy = { work: 'searches', concurrency: 1, maxWaitingPerPerson: 1_000, maxWaiting: 10_000 };

/** A turn of the simulation: its user, and the times at which it was requested, started and ended. */
type Ran = { person: string; askedAt: number; startedAt: number; endedAt: number };

/** Simulates turns with given durations, on a clock that advances only when a turn ends. */
class Simulation {
  readonly ran: Ran[] = [];
  readonly queue: FairQueue;
  maxRunning = 0;
  readonly maxRunningOf = new Map<string, number>();
  #now = 0;
  readonly #running: { endsAt: number; end: () => void; person: string }[] = [];
  readonly #asked: Promise<unknown>[] = [];

  constructor(options: Partial<FairQueueOptions> = {}) {
    this.queue = new FairQueue({ ...roomy, ...options, now: () => this.#now });
  }

  ask(person: string, ms: number, weight = 1): void {
    const askedAt = this.#now;
    const turn = this.queue.run({ person, weight }, async () => {
      const startedAt = this.#now;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#running.push({ endsAt: startedAt + ms, end: resolve, person });
      const runningOfPerson = this.#running.filter((each) => each.person === person).length;
      this.maxRunning = Math.max(this.maxRunning, this.#running.length);
      this.maxRunningOf.set(person, Math.max(this.maxRunningOf.get(person) ?? 0, runningOfPerson));
      await promise;
      this.ran.push({ person, askedAt, startedAt, endedAt: this.#now });
    });
    this.#asked.push(turn);
  }

  /** Ends the turn that is due next. Returns false if no turn is running. */
  async step(): Promise<boolean> {
    await settle();
    const next = this.#running.toSorted((one, other) => one.endsAt - other.endsAt)[0];
    if (next === undefined) return false;
    this.#running.splice(this.#running.indexOf(next), 1);
    this.#now = next.endsAt;
    next.end();
    await settle();
    return true;
  }

  async finish(): Promise<void> {
    while (await this.step());
    await Promise.all(this.#asked);
  }

  usedBy(person: string): number {
    return this.ran
      .filter((turn) => turn.person === person)
      .reduce((sum, turn) => sum + turn.endedAt - turn.startedAt, 0);
  }
}

/** Lets all pending callbacks run. */
function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

const people = ['ada', 'linus', 'alan', 'edsger'] as const;
const work = fc.record({ person: fc.constantFrom(...people), ms: fc.integer({ min: 0, max: 100 }) });

test('a bystander waits for at most one turn of each other user, however many of their turns are waiting', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(work, { minLength: 1, maxLength: 60 }), fc.nat(20), async (backlog, steps) => {
      const simulation = new Simulation();
      for (const { person, ms } of backlog) simulation.ask(person, ms);
      for (let step = 0; step < steps; step += 1) await simulation.step();
      const before = simulation.ran.length;
      simulation.ask('grace', 1);
      await simulation.finish();
      const since = simulation.ran.slice(before);
      const ahead = since.slice(
        0,
        since.findIndex(({ person }) => person === 'grace'),
      );
      for (const person of people) {
        const startedAfterwards = ahead.filter((turn, index) => turn.person === person && index > 0);
        expect(startedAfterwards.length).toBeLessThanOrEqual(1);
      }
    }),
    { numRuns: 100 },
  );
});

test('users whose work never ends share the time in proportion to their weights', async () => {
  const costs = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 60, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(costs, costs, fc.integer({ min: 1, max: 4 }), async (adas, graces, weight) => {
      const simulation = new Simulation();
      for (const ms of adas) simulation.ask('ada', ms);
      for (const ms of graces) simulation.ask('grace', ms, weight);
      for (;;) {
        await simulation.step();
        const done = (person: string) => simulation.ran.filter((turn) => turn.person === person).length;
        if (done('ada') === 60 || done('grace') === 60) break;
        // By the theorem of start-time fair queueing, the gap is at most the sum, over both users, of the longest turn
        // divided by the user’s weight.
        const gap = Math.abs(simulation.usedBy('ada') - simulation.usedBy('grace') / weight);
        expect(gap).toBeLessThanOrEqual(100 + 100 / weight);
      }
    }),
    { numRuns: 30 },
  );
});

test('with several turns running at a time, the limits hold and every accepted turn runs', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(work, { maxLength: 80 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 2 }),
      async (turns, concurrency, concurrencyPerPerson) => {
        const simulation = new Simulation({ concurrency, concurrencyPerPerson });
        for (const [index, { person, ms }] of turns.entries()) {
          simulation.ask(person, ms);
          if (index % 7 === 0) await simulation.step();
        }
        await simulation.finish();
        expect(simulation.ran).toHaveLength(turns.length);
        expect(simulation.maxRunning).toBeLessThanOrEqual(concurrency);
        for (const most of simulation.maxRunningOf.values()) expect(most).toBeLessThanOrEqual(concurrencyPerPerson);
        expect(simulation.queue.waitingCount).toBe(0);
      },
    ),
    { numRuns: 100 },
  );
});

test('with D turns running at a time, a bystander waits for at most D + 1 turns of each other user', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(work, { minLength: 20, maxLength: 60 }), fc.nat(20), async (backlog, steps) => {
      const concurrency = 3;
      const simulation = new Simulation({ concurrency });
      for (const { person, ms } of backlog) simulation.ask(person, ms);
      for (let step = 0; step < steps; step += 1) await simulation.step();
      simulation.ask('grace', 1);
      await simulation.finish();
      const grace = simulation.ran.find(({ person }) => person === 'grace');
      for (const person of people) {
        const ahead = simulation.ran.filter(
          (turn) =>
            turn.person === person &&
            turn.startedAt >= (grace?.askedAt ?? 0) &&
            turn.endedAt <= (grace?.startedAt ?? 0),
        );
        const longestTurn = 100;
        // The bound of SFQ(D), which is start-time fair queueing with D concurrent turns (Jin, Chase and Kaur, 2004).
        const bound = (concurrency + 1) * longestTurn;
        expect(ahead.reduce((sum, { startedAt, endedAt }) => sum + endedAt - startedAt, 0)).toBeLessThanOrEqual(bound);
      }
    }),
    { numRuns: 100 },
  );
});

test('a user who leaves the queue while others wait does not come back with a clean slate', async () => {
  const simulation = new Simulation();
  simulation.ask('ada', 1_000);
  for (let turn = 0; turn < 20; turn += 1) simulation.ask('grace', 10);
  await simulation.step();
  simulation.ask('ada', 1_000);
  await simulation.finish();
  expect(simulation.ran.map(({ person }) => person).at(-1)).toBe('ada');
});

test('a user who makes no requests saves up no time', async () => {
  const simulation = new Simulation();
  for (let turn = 0; turn < 20; turn += 1) simulation.ask('ada', 100);
  for (let turn = 0; turn < 10; turn += 1) await simulation.step();
  for (let turn = 0; turn < 10; turn += 1) simulation.ask('grace', 100);
  await simulation.finish();
  const order = simulation.ran.slice(11).map(({ person }) => person);
  expect(order.slice(0, 6).filter((person) => person === 'grace')).toHaveLength(3);
});

test('a refusal names the limit that was reached, and when to retry', async () => {
  const simulation = new Simulation({ maxWaitingPerPerson: 2, maxWaiting: 3 });
  for (let turn = 0; turn < 3; turn += 1) simulation.ask('ada', 100);
  await expect(simulation.queue.run({ person: 'ada' }, settle)).rejects.toThrow(
    'Too many of your searches are waiting: at most 2 may wait.',
  );
  simulation.ask('grace', 100);
  const refused = simulation.queue.run({ person: 'linus' }, settle);
  await expect(refused).rejects.toThrow('Too many searches are waiting on this server: at most 3 may wait.');
  await expect(refused).rejects.toBeInstanceOf(RateLimited);
  await expect(refused).rejects.toHaveProperty('retryAfterSeconds', 1);
  await simulation.finish();
});

test('a turn that is aborted while it waits never runs, and frees its place in the queue', async () => {
  const simulation = new Simulation({ maxWaitingPerPerson: 1 });
  const abort = new AbortController();
  simulation.ask('ada', 100);
  const aborted = simulation.queue.run({ person: 'ada', signal: abort.signal }, () => 'ran');
  expect(simulation.queue.waitingCount).toBe(1);
  abort.abort(new Error('the client has gone'));
  await expect(aborted).rejects.toThrow('the client has gone');
  expect(simulation.queue.waitingCount).toBe(0);
  simulation.ask('ada', 100);
  await simulation.finish();
  expect(simulation.ran).toHaveLength(2);
  const gone = simulation.queue.run({ person: 'ada', signal: abort.signal }, () => 'ran');
  await expect(gone).rejects.toThrow('the client has gone');
});

test('a turn that fails passes its error on and frees its slot', async () => {
  const simulation = new Simulation();
  const failing = simulation.queue.run({ person: 'ada' }, () => Promise.reject(new Error('no such word')));
  await expect(failing).rejects.toThrow('no such word');
  await expect(simulation.queue.run({ person: 'ada' }, () => 'found')).resolves.toBe('found');
});
