/** A pause that can be ended early. */
export class Pause {
  #wake: (() => void) | null = null;

  /** Resolves after this time, or earlier if `end` is called. */
  async wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }

  end(): void {
    this.#wake?.();
  }
}

const longestMs = 30_000;

/**
 * Returns how many ms to wait after this many consecutive failures. The time grows with each failure, up to
 * `longestMs`, and is partly random, so that clients do not all retry at once.
 */
export function backOff(failures: number, leastMs = 500): number {
  const most = Math.min(longestMs, leastMs * 2 ** failures);
  return most / 2 + (Math.random() * most) / 2;
}
