type Waiting = { count: number; start: () => void };

/** A semaphore. Tasks wait until enough permits are free, and start in the order in which they arrived. */
export class Semaphore {
  readonly #total: number;
  #free: number;
  readonly #waiting: Waiting[] = [];

  constructor(total: number) {
    this.#total = total;
    this.#free = total;
  }

  /** Runs `work` while holding `count` permits, or all of them if `count` exceeds the total. */
  async hold<Result>(count: number, work: () => Promise<Result>): Promise<Result> {
    const taken = Math.min(count, this.#total);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ count: taken, start: resolve });
    this.#startNext();
    await promise;
    try {
      return await work();
    } finally {
      this.#free += taken;
      this.#startNext();
    }
  }

  #startNext(): void {
    for (let next = this.#waiting[0]; next !== undefined && next.count <= this.#free; next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#free -= next.count;
      next.start();
    }
  }
}
