import { noMetrics, type Metrics } from '../core/metric.ts';
import type { Report } from '../core/report.ts';
import type { EventRenderer } from './event-renderer.ts';
import type { EventTraces } from './event-trace.ts';
import { Outdated } from './outdated.ts';
import { RenderTurns } from './render-turn.ts';
import { SharedSubscription, type SharedSubscriptionOptions } from './shared-subscription.ts';
import { SubscriptionBudget } from './subscription-budget.ts';

/** The settings and dependencies of the fan-out. */
export type FanOutOptions = {
  epoch: () => string;
  report: Report;
  /** The maximum total complexity of one user's subscriptions; 0 means no limit. */
  maxComplexityPerPerson: number;
  metrics?: Metrics;
  traces?: EventTraces | null;
};

/**
 * Executes each distinct subscription once per event, and gives the encoded result to every subscriber that has this
 * subscription. Subscribers share a result exactly when its execution did not depend on the asker. Otherwise, each
 * asker gets a separate result.
 */
export class FanOut {
  readonly #options: SharedSubscriptionOptions;
  readonly #budget: SubscriptionBudget;
  readonly #subscriptions = new Map<string, SharedSubscription>();

  constructor({ epoch, report, maxComplexityPerPerson, metrics = noMetrics, traces = null }: FanOutOptions) {
    this.#options = { epoch, report, metrics, traces, turns: new RenderTurns(), outdated: new Outdated() };
    this.#budget = new SubscriptionBudget(maxComplexityPerPerson);
  }

  /** How many distinct subscriptions there are. */
  get size(): number {
    return this.#subscriptions.size;
  }

  /**
   * Joins the shared subscription with this key on behalf of a user; subscriptions with the same key have the same
   * results. If the key is new, `createRenderer` is called with a function that returns whether any subscriber is still
   * waiting for a result. Call `leave` when the subscription ends. Throws RateLimited if the total cost of the user's
   * subscriptions would exceed the limit.
   */
  join(key: string, userId: bigint, createRenderer: (isWanted: () => boolean) => EventRenderer): SharedSubscription {
    const shared = this.#subscriptions.get(key) ?? new SharedSubscription(key, createRenderer, this.#options);
    this.#budget.take(userId, shared.holders.priceFor(userId));
    this.#subscriptions.set(key, shared);
    shared.holders.add(userId);
    return shared;
  }

  /**
   * Call this when earlier renderings of a chat (or of all chats, if null) must no longer be shown, not even by a
   * replay that overtakes the queue.
   */
  forget(chatId: bigint | null): void {
    this.#options.outdated.begin(chatId);
    if (chatId === null) for (const shared of this.#subscriptions.values()) shared.clear();
  }

  leave(shared: SharedSubscription, userId: bigint): void {
    shared.holders.remove(userId);
    this.#budget.giveBack(userId, shared.holders.priceFor(userId));
    if (shared.holders.count === 0) this.#subscriptions.delete(shared.key);
  }
}
