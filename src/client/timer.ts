/** A wait that can be cut short. */
export class Pause {
  #wake: (() => void) | null = null;

  /** Resolves after that time, or earlier if `end` is called. */
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
 * How many ms to wait after that many failures in a row: longer each time, up to `longestMs`, with a random part, so
 * that clients spread out.
 */
export function backOff(failures: number, leastMs = 500): number {
  const most = Math.min(longestMs, leastMs * 2 ** failures);
  return most / 2 + (Math.random() * most) / 2;
}
