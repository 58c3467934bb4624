/**
 * Runs tasks that have the same key one at a time, in the order in which they arrive, within this process. A task that
 * would otherwise block on a database lock held by another task of the same kind waits here instead, without occupying
 * one of the few connections.
 */
export class KeyedMutex<Key> {
  readonly #last = new Map<Key, Promise<unknown>>();

  /** Runs `work` once all earlier work with the same key has settled. */
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
