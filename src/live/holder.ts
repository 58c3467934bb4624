import type { Price } from './subscription-budget.ts';

/**
 * The minimum price of a document, because even a small document takes memory on the server for itself and its latest
 * renderings.
 */
const leastPrice = 500;
/** The price of each additional identical subscription by the same user, which costs one write per event. */
const priceOfSharing = 10;

/** The users who share a subscription, and how many times each of them has subscribed. */
export class Holders {
  readonly #complexity: number;
  readonly #counts = new Map<bigint, number>();

  /** `complexity`: the complexity of the document per event. */
  constructor(complexity: number) {
    this.#complexity = complexity;
  }

  /** How many users share the subscription. */
  get count(): number {
    return this.#counts.size;
  }

  userIds(): Iterable<bigint> {
    return this.#counts.keys();
  }

  /**
   * Returns the price of one more subscription for this user. Only the first of a user's identical subscriptions costs
   * an execution per event.
   */
  priceFor(userId: bigint): Price {
    const isRepeated = this.#counts.has(userId);
    return { complexity: isRepeated ? priceOfSharing : Math.max(leastPrice, this.#complexity), isRepeated };
  }

  add(userId: bigint): void {
    this.#counts.set(userId, (this.#counts.get(userId) ?? 0) + 1);
  }

  remove(userId: bigint): void {
    const left = (this.#counts.get(userId) ?? 1) - 1;
    if (left > 0) this.#counts.set(userId, left);
    else this.#counts.delete(userId);
  }
}
