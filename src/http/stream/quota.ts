import { HttpError } from '../http-error.ts';

const retryAfterSeconds = 5;

/** Counts the open streams of each holder, and refuses any stream over the limit. A limit of 0 means no limit. */
export class Quota {
  readonly #limit: number;
  readonly #setting: string;
  readonly #held = new Map<string, number>();

  /** `setting` is the name of the setting that contains the limit. Error messages mention it. */
  constructor(limit: number, setting: string) {
    this.#limit = limit;
    this.#setting = setting;
  }

  /**
   * Counts one more stream for `holder`. Call the returned function when the stream ends; calling it again has no
   * effect. Throws HttpError 429 if the limit has been reached.
   */
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
