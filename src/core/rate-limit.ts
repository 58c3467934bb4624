import { LRUCache } from 'lru-cache';
import { RateLimited } from '../errors.ts';

/**
 * Counts what one key (a person, a session) does, in this process's memory: `count` times in `windowMs` from the first.
 * Bounded by `maxKeys`; the key seen longest ago is forgotten first.
 */
export class RateLimit {
  readonly #options: { count: number; windowMs: number; maxKeys: number; message: string };
  readonly #windows: LRUCache<string, { taken: number; endsAt: number }>;

  constructor(options: { count: number; windowMs: number; maxKeys: number; message: string }) {
    this.#options = options;
    this.#windows = new LRUCache({ max: options.maxKeys });
  }

  /** Counts one more. Throws RateLimited, which says when the window ends, once the key has used up its share. */
  take(key: string): void {
    const { count, windowMs, message } = this.#options;
    // Unlike the wall clock, it never jumps.
    const now = performance.now();
    const known = this.#windows.get(key);
    const window = known !== undefined && now < known.endsAt ? known : { taken: 0, endsAt: now + windowMs };
    if (window.taken >= count) throw new RateLimited(message, Math.ceil((window.endsAt - now) / 1000));
    window.taken += 1;
    this.#windows.set(key, window);
  }

  /** The key starts afresh. */
  forgive(key: string): void {
    this.#windows.delete(key);
  }
}
