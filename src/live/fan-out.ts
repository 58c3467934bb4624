import type { Report } from '../core/report.ts';
import type { EventRenderer } from './event-renderer.ts';
import { SharedSubscription } from './shared-subscription.ts';

/**
 * Executes each distinct subscription once per event and gives the encoded result to every subscriber with the same
 * subscription. A result is shared exactly when its execution did not depend on the asker; otherwise each asker gets
 * their own.
 */
export class FanOut {
  readonly #options: { epoch: () => string; report: Report };
  readonly #subscriptions = new Map<string, SharedSubscription>();

  constructor(options: { epoch: () => string; report: Report }) {
    this.#options = options;
  }

  /**
   * Joins the shared subscription with this key; two subscriptions have the same key exactly when their results are
   * the same. `createRenderer` is called for the first of them, with a function that says whether a subscriber still
   * waits for a result. Call `leave` when the subscription ends.
   */
  join(key: string, createRenderer: (isWanted: () => boolean) => EventRenderer): SharedSubscription {
    let shared = this.#subscriptions.get(key);
    if (shared === undefined) {
      shared = new SharedSubscription(key, createRenderer, this.#options);
      this.#subscriptions.set(key, shared);
    }
    shared.size += 1;
    return shared;
  }

  leave(shared: SharedSubscription): void {
    shared.size -= 1;
    if (shared.size === 0) this.#subscriptions.delete(shared.key);
  }
}
