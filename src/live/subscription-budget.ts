import { RateLimited } from '../errors.ts';

const retryAfterSeconds = 5;

/** Adds up what the subscriptions of each user cost, and refuses more than the limit; 0 turns the limit off. */
export class SubscriptionBudget {
  readonly #limit: number;
  readonly #spent = new Map<bigint, number>();

  /** `limit`: the highest sum of the complexities of a user's subscriptions. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Adds a subscription. Throws RateLimited, which names the limit and what was asked for, and then adds nothing. */
  take(userId: bigint, price: number): void {
    const sum = (this.#spent.get(userId) ?? 0) + price;
    if (this.#limit > 0 && sum > this.#limit) {
      throw new RateLimited(
        `Too many subscriptions: with this one, which counts as ${price}, the complexity per event of all yours on this ` +
          `server is ${sum}; the limit is ${this.#limit} (MAX_SUBSCRIPTION_COMPLEXITY).`,
        retryAfterSeconds,
      );
    }
    this.#spent.set(userId, sum);
  }

  /** Subtracts a subscription that has ended. */
  giveBack(userId: bigint, price: number): void {
    const left = (this.#spent.get(userId) ?? 0) - price;
    if (left > 0) this.#spent.set(userId, left);
    else this.#spent.delete(userId);
  }
}
