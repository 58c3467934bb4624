/**
 * Lets work under the same key run one piece after the other, in this process and in the order of arrival. Work that would
 * only wait for a database lock that its own kind holds then waits without a connection, of which there are few.
 */
export class KeyedMutex<Key> {
  readonly #last = new Map<Key, Promise<unknown>>();

  /** Runs `work` once everything that was asked for before under the same key has settled. */
  async run<Result>(key: Key, work: () => Promise<Result>): Promise<Result> {
    const before = this.#last.get(key);
    const running = before === undefined ? work() : before.then(work);
    const settled = running.catch(() => undefined);
    this.#last.set(key, settled);
    try {
      return await running;
    } finally {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    }
  }
}
