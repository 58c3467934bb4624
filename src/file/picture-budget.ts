import { createLru } from '../core/lru.ts';
import { RateLimited } from '../errors.ts';

/**
 * The processing time that about a hundred phone photos take. A user regains used time at the rate of `regainedPerMs`.
 */
const budgetMs = 120_000;
const regainedPerMs = 0.1;
const maxPeople = 100_000;

/** How much processing time each user's pictures have recently used on this node. */
export class PictureBudget {
  readonly #used = createLru<string, { ms: number; at: number }>(maxPeople);
  readonly #now: () => number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** If the user has used up their time, throws a RateLimited that says when to retry. */
  check(person: string): void {
    const excess = this.#usedBy(person) - budgetMs;
    if (excess < 0) return;
    throw new RateLimited(
      `Your pictures have taken ${budgetMs / 1000} seconds of the server's time: upload the others later.`,
      Math.max(1, Math.ceil(excess / regainedPerMs / 1000)),
    );
  }

  spend(person: string, ms: number): void {
    this.#used.set(person, { ms: this.#usedBy(person) + ms, at: this.#now() });
  }

  #usedBy(person: string): number {
    const used = this.#used.get(person);
    return used === undefined ? 0 : Math.max(0, used.ms - (this.#now() - used.at) * regainedPerMs);
  }
}
