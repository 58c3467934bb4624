import { RateLimited } from '../errors.ts';

const retryAfterSeconds = 5;
const settingName = 'MAX_SUBSCRIPTION_COMPLEXITY';

/** What a subscription adds to its user's sum. `isRepeated`: the user already has one with the same document. */
export type Price = { complexity: number; isRepeated: boolean };

/**
 * Adds up what the subscriptions of each user cost, and refuses more than the limit; 0 turns the limit off.
 *
 * Repeated subscriptions are refused only beyond twice the limit. After a network break, a client opens all of its
 * streams again before the server notices that the earlier ones are dead; a refusal would tell it not to come back.
 */
export class SubscriptionBudget {
  readonly #limit: number;
  readonly #spent = new Map<bigint, number>();

  /** `limit`: the maximum total complexity of a user's subscriptions. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Adds a subscription, or adds nothing and throws RateLimited, which names the limit and what was asked for. */
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

  /** Subtracts a subscription that has ended. */
  giveBack(userId: bigint, { complexity }: Price): void {
    const left = (this.#spent.get(userId) ?? 0) - complexity;
    if (left > 0) this.#spent.set(userId, left);
    else this.#spent.delete(userId);
  }
}
