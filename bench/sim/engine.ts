/** Runs actions at their scheduled times. Actions for the same moment run in the order in which they were scheduled. */
export class Engine {
  /** In ms. */
  now = 0;
  readonly #times: number[] = [];
  readonly #orders: number[] = [];
  readonly #actions: (() => void)[] = [];
  #order = 0;

  /** Runs `action` after `ms`. */
  after(ms: number, action: () => void): void {
    let at = this.#times.length;
    const [time, order] = [this.now + ms, (this.#order += 1)];
    // A binary heap in three arrays.
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(time, order, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    [this.#times[at], this.#orders[at], this.#actions[at]] = [time, order, action];
  }

  /** Runs every action that is due by `end`, in ms. */
  run(end: number): void {
    while (this.#times.length > 0 && (this.#times[0] ?? Infinity) <= end) {
      this.now = this.#times[0] ?? end;
      const action = this.#actions[0];
      this.#removeFirst();
      action?.();
    }
    this.now = end;
  }

  #removeFirst(): void {
    const [time, order, action] = [this.#times.pop() ?? 0, this.#orders.pop() ?? 0, this.#actions.pop()];
    const length = this.#times.length;
    if (length === 0 || action === undefined) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      const right = child + 1;
      if (right < length && this.#isBefore(this.#times[right] ?? 0, this.#orders[right] ?? 0, child)) child = right;
      if (this.#isBefore(time, order, child)) break;
      this.#move(child, at);
      at = child;
    }
    [this.#times[at], this.#orders[at], this.#actions[at]] = [time, order, action];
  }

  #isBefore(time: number, order: number, at: number): boolean {
    const other = this.#times[at] ?? 0;
    return time < other || (time === other && order < (this.#orders[at] ?? 0));
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#times[from] ?? 0;
    this.#orders[to] = this.#orders[from] ?? 0;
    this.#actions[to] = this.#actions[from] ?? (() => undefined);
  }
}
