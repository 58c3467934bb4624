import { RateLimited } from '../errors.ts';

const retryAfterSeconds = 5;
const settingName = 'MAX_SUBSCRIPTION_COMPLEXITY';

/**
 * The amount that a subscription adds to the total of its user. `isRepeated`: whether the user already has a
 * subscription with the same document.
 */
export type Price = { complexity: number; isRepeated: boolean };

/**
 * Adds up the prices of each user's subscriptions, and refuses a subscription that would exceed the limit; 0 turns the
 * limit off.
 *
 * Repeated subscriptions are refused only above twice the limit. After a network failure, a client reopens all of its
 * streams before the server notices that the earlier streams are dead. A refusal would tell the client not to come
 * back.
 */
export class SubscriptionBudget {
  readonly #limit: number;
  readonly #spent = new Map<bigint, number>();

  /** `limit`: the maximum total complexity of a user's subscriptions. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Adds a subscription. If the new total would exceed the limit, adds nothing and throws a RateLimited that names the
   * limit and the total with this subscription.
   */
  take(userId: bigint, { complexity, isRepeated }: Price): void {
    const sum = (this.#spent.get(userId) ?? 0) + complexity;
    const [limit, setting] = isRepeated ? [2 * this.#limit, `twice ${settingName}`] : [this.#limit, settingName];
    if (limit > 0 && sum > limit) {
      throw new RateLimited(
        `Too many subscriptions: with this one, which counts as ${complexity}, the total complexity per event of ` +
          `your subscriptions on this server is ${sum}; the limit is ${limit} (${setting}).`,
        retryAfterSeconds,
      );
    }
    this.#spent.set(userId, sum);
  }

  /** Subtracts the price of a subscription that has ended. */
  giveBack(userId: bigint, { complexity }: Price): void {
    const left = (this.#spent.get(userId) ?? 0) - complexity;
    if (left > 0) this.#spent.set(userId, left);
    else this.#spent.delete(userId);
  }
}
