import { LRUCache } from 'lru-cache';
import { RateLimited } from '../errors.ts';

/** As much time as some hundred photos of a phone take; it comes back at this pace. */
const budgetMs = 120_000;
const regainedPerMs = 0.1;
const maxPeople = 100_000;

/** How much time each person's pictures have taken of late, on this node. */
export class PictureBudget {
  readonly #used = new LRUCache<string, { ms: number; at: number }>({ max: maxPeople });
  readonly #now: () => number;

  /** `now`: a clock in milliseconds that never jumps. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Throws RateLimited, which says when it is worth another try, for a person who has used up their time. */
  check(person: string): void {
    const excess = this.#usedBy(person) - budgetMs;
    if (excess < 0) return;
    throw new RateLimited(
      `Your pictures have taken ${budgetMs / 1000} seconds of the server's time: send the others later.`,
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
