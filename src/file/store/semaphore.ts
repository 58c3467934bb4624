/** Memory that many share: whoever needs some waits, in the order of coming, until so much is free. */
export class Allowance {
  readonly #total: number;
  #free: number;
  readonly #waiting: { bytes: number; start: () => void }[] = [];

  constructor(totalBytes: number) {
    this.#total = totalBytes;
    this.#free = totalBytes;
  }

  /** Does `work` once that many bytes are free, or all of them, and holds them until it is over. */
  async spend<Result>(wantedBytes: number, work: () => Promise<Result>): Promise<Result> {
    const bytes = Math.min(wantedBytes, this.#total);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ bytes, start: resolve });
    this.#startNext();
    await promise;
    try {
      return await work();
    } finally {
      this.#free += bytes;
      this.#startNext();
    }
  }

  #startNext(): void {
    for (let next = this.#waiting[0]; next !== undefined && next.bytes <= this.#free; next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#free -= next.bytes;
      next.start();
    }
  }
}
