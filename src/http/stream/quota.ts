import { HttpError } from '../http-error.ts';

const retryAfterSeconds = 5;

/** Counts what each one holds, and refuses what is over the limit; 0 is no limit. */
export class Quota {
  readonly #limit: number;
  readonly #setting: string;
  readonly #held = new Map<string, number>();

  /** `setting` is named in the refusal. */
  constructor(limit: number, setting: string) {
    this.#limit = limit;
    this.#setting = setting;
  }

  /** One more for `holder`. The result gives it back, once. Throws HttpError 429. */
  take(holder: string): () => void {
    if (this.#limit === 0) return () => undefined;
    const held = this.#held.get(holder) ?? 0;
    if (held >= this.#limit) {
      throw new HttpError(429, `Too many open streams: the limit is ${this.#limit} (${this.#setting}).`, {
        code: 'RATE_LIMITED',
        headers: { 'retry-after': String(retryAfterSeconds) },
      });
    }
    this.#held.set(holder, held + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const left = (this.#held.get(holder) ?? 1) - 1;
      if (left === 0) this.#held.delete(holder);
      else this.#held.set(holder, left);
    };
  }
}
