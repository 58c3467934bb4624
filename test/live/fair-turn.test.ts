import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Asker, Caller } from '../../src/core/asker.ts';
import { askerKey } from '../../src/core/asker.ts';
import type { Batch, Receiver } from '../../src/live/delivery.ts';
import type { EventCost, EventRenderer } from '../../src/live/event-renderer.ts';
import { FanOut } from '../../src/live/fan-out.ts';
import type { SharedSubscription } from '../../src/live/shared-subscription.ts';
import type { LoggedEvent } from '../../src/log/event.ts';
import type { Db } from '../../src/postgres/client.ts';
import { Loaders } from '../../src/postgres/loader.ts';

/**
 * A step: either a slice of a document began, or an event was executed for the document. Meanwhile, executions of the
 * documents in `running` were in progress.
 */
type Step = { document: string; step: 'slice' | 'execution'; running: Set<string> };

const patience = { interval: 1, timeout: 10_000 };

/** Documents whose executions take a few turns of the event loop each. */
class Documents {
  readonly steps: Step[] = [];
  /** The documents of the executions that are in progress now. */
  readonly #running: string[] = [];
  readonly fanOut = new FanOut({ epoch: () => 'epoch', report: () => undefined, maxComplexityPerPerson: 0 });

  subscribe(userId: bigint, document: string, options: { cost: EventCost; isPersonal: boolean }): Subscriber {
    const shared = this.fanOut.join(document, userId, () => this.#rendererOf(document, options));
    return new Subscriber(userId, shared);
  }

  #rendererOf(document: string, { cost, isPersonal }: { cost: EventCost; isPersonal: boolean }): EventRenderer {
    const execute = async (asker: Caller) => {
      this.#running.push(document);
      this.#note(document, 'execution');
      for (let wait = 0; wait < 2; wait += 1) await new Promise((resolve) => void setImmediate(resolve));
      this.#running.splice(this.#running.indexOf(document), 1);
      return { payload: `for ${asker.userId}`, personalTo: isPersonal ? askerKey(asker) : null };
    };
    return {
      wantsPresence: false,
      cost,
      newLoaders: () => {
        this.#note(document, 'slice');
        return new Loaders({} as Db);
      },
      prefetch: () => Promise.resolve(),
      render: (_, __, { asker }) => execute(asker),
      renderNotice: (_, __, { asker }) => execute(asker),
    };
  }

  #note(document: string, step: Step['step']): void {
    this.steps.push({ document, step, running: new Set(this.#running) });
  }
}

/** A live subscription that records what it receives. */
class Subscriber implements Receiver {
  readonly asker: Asker;
  readonly userId: bigint;
  readonly sessionId: bigint;
  readonly chatId = null;
  readonly isReceiving = true;
  isPublicReader = false;
  readonly outlet: SharedSubscription;
  readonly received: { eventId: bigint; payload: string }[] = [];

  constructor(userId: bigint, shared: SharedSubscription) {
    this.userId = userId;
    this.sessionId = userId;
    this.asker = { kind: 'SESSION', userId, sessionId: userId, expiresAt: new Date(0) };
    this.outlet = shared;
  }

  receive({ renderings }: Batch): void {
    this.received.push(...renderings);
  }

  lag(): void {
    throw new Error('nothing is slow here');
  }

  receiveTransient(): void {
    throw new Error('there are only events here');
  }

  finish(): void {
    throw new Error('nothing ends here');
  }

  interrupt(): void {
    throw new Error('nothing ends here');
  }
}

function eventWith(id: bigint): LoggedEvent {
  return { id, kind: 'NewMessage', at: new Date(0) } as LoggedEvent;
}

const document = fc.record({
  cost: fc.record({ complexity: fc.constantFrom(10, 2_500, 10_000), bytes: fc.constantFrom(100, 4_000_000) }),
  isPersonal: fc.boolean(),
  holders: fc.uniqueArray(fc.bigInt(1n, 12n), { minLength: 1, maxLength: 4 }),
});
const scenario = fc.record({
  documents: fc.array(document, { minLength: 1, maxLength: 40 }),
  /** How many events each burst has, and how many turns of the event loop pass after each burst. */
  bursts: fc.array(fc.record({ events: fc.integer({ min: 1, max: 20 }), pause: fc.nat(3) }), {
    minLength: 1,
    maxLength: 5,
  }),
});

test('however subscriptions are shared and events arrive, each subscriber gets every event once and in order', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async ({ documents, bursts }) => {
      const all = new Documents();
      const groups = documents.map(({ holders, ...options }, index) =>
        holders.map((userId) => all.subscribe(userId, `document ${index}`, options)),
      );
      let sent = 0n;
      for (const { events, pause } of bursts) {
        for (let count = 0; count < events; count += 1) {
          sent += 1n;
          for (const group of groups) group[0]?.outlet.publish(eventWith(sent), group);
        }
        for (let wait = 0; wait < pause; wait += 1) await new Promise((resolve) => void setImmediate(resolve));
      }
      const subscribers = groups.flat();
      await expect.poll(() => subscribers.every(({ received }) => received.length >= sent), patience).toBe(true);
      const ids = Array.from({ length: Number(sent) }, (_, index) => BigInt(index + 1));
      for (const [index, group] of groups.entries()) {
        for (const { received, userId } of group) {
          expect(received.map(({ eventId }) => eventId)).toEqual(ids);
          const own = received.filter(({ payload }) => payload === `for ${userId}`);
          if (documents[index]?.isPersonal === true && own.length < received.length)
            throw new Error('it received what is for another user');
        }
      }
    }),
    { numRuns: 30 },
  );
});

test('an event of a bystander is executed after at most one slice of each other user, whatever they subscribe to', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, fc.nat(30), async ({ documents, bursts }, delay) => {
      const all = new Documents();
      const groups = documents.map(({ holders, ...options }, index) =>
        holders.map((userId) => all.subscribe(userId, `document ${index}`, { ...options, isPersonal: false })),
      );
      const bystander = all.subscribe(100n, 'of the bystander', {
        cost: { complexity: 10, bytes: 100 },
        isPersonal: false,
      });
      const backlog = bursts.reduce((sum, { events }) => sum + events, 0);
      for (let id = 1; id <= backlog; id += 1) {
        for (const group of groups) group[0]?.outlet.publish(eventWith(BigInt(id)), group);
      }
      for (let wait = 0; wait < delay; wait += 1) await new Promise((resolve) => void setImmediate(resolve));
      const before = all.steps.length;
      bystander.outlet.publish(eventWith(1n), [bystander]);
      await expect.poll(() => bystander.received.length, patience).toBe(1);
      const since = all.steps.slice(before);
      const own = since.findIndex((step) => step.document === 'of the bystander');
      const slices = since.slice(0, own).filter(({ step }) => step === 'slice');
      const others = new Set(documents.flatMap(({ holders }) => holders));
      expect(slices.length).toBeLessThanOrEqual(others.size);
      for (const userId of others) {
        const alone = documents.flatMap(({ holders }, index) =>
          holders.length === 1 && holders[0] === userId ? [`document ${index}`] : [],
        );
        expect(slices.filter((step) => alone.includes(step.document)).length).toBeLessThanOrEqual(1);
        // At most one slice of each user runs at the same time.
        for (const { running } of all.steps) {
          expect(alone.filter((name) => running.has(name)).length).toBeLessThanOrEqual(1);
        }
      }
    }),
    { numRuns: 30 },
  );
});

test('a slice executes at most one event of a document with the maximum complexity', async () => {
  const all = new Documents();
  const heavy = all.subscribe(1n, 'heavy', { cost: { complexity: 10_000, bytes: 100 }, isPersonal: false });
  const light = all.subscribe(2n, 'light', { cost: { complexity: 10, bytes: 100 }, isPersonal: false });
  for (let id = 1n; id <= 10n; id += 1n) {
    heavy.outlet.publish(eventWith(id), [heavy]);
    light.outlet.publish(eventWith(id), [light]);
  }
  await expect.poll(() => [heavy, light].map(({ received }) => received.length), patience).toEqual([10, 10]);
  const slicesOf = (name: string) => all.steps.filter(({ document: own, step }) => own === name && step === 'slice');
  expect(slicesOf('heavy')).toHaveLength(10);
  expect(slicesOf('light')).toHaveLength(1);
});

test('a document that hangs delays only its own subscribers', async () => {
  const all = new Documents();
  const { promise: never } = Promise.withResolvers<null>();
  const hanging: EventRenderer = {
    wantsPresence: false,
    cost: { complexity: 10, bytes: 100 },
    newLoaders: () => new Loaders({} as Db),
    prefetch: () => Promise.resolve(),
    render: () => never,
    renderNotice: () => Promise.reject(new Error('there are only events here')),
  };
  for (let userId = 1n; userId <= 20n; userId += 1n) {
    for (const name of ['one', 'other']) {
      const subscriber = new Subscriber(
        userId,
        all.fanOut.join(`${name} of ${userId}`, userId, () => hanging),
      );
      subscriber.outlet.publish(eventWith(1n), [subscriber]);
    }
  }
  const bystanders = [1n, 100n].map((userId) =>
    all.subscribe(userId, `swift, of ${userId}`, { cost: { complexity: 10, bytes: 100 }, isPersonal: false }),
  );
  for (const bystander of bystanders) bystander.outlet.publish(eventWith(1n), [bystander]);
  await expect.poll(() => bystanders.map(({ received }) => received.length), patience).toEqual([1, 1]);
});
