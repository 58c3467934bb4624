import { RateLimited } from '../errors.ts';

/** The outcome of one item. */
export type Outcome<Output> = { value: Output } | { error: Error };

/**
 * What to do about a batch that failed: fail all its items, divide the batch to find the item that makes it fail, or
 * retry the whole batch.
 */
export type Remedy = 'REJECT' | 'DIVIDE' | 'REPEAT';

/** Options for committing items in batches. */
export type BatchOptions<Item, Output> = {
  /** The maximum number of waiting items, and the error message for any item beyond it. */
  maxWaiting: number;
  refusal: string;
  /** The maximum number of lanes that run at the same time. */
  maxLanes: number;
  /** Returns the key of the lock that the item needs. Items in one lane are committed in order. */
  laneOf: (item: Item) => bigint;
  /** Whether the item must not share a transaction with items of other lanes. */
  isAlone?: (item: Item) => boolean;
  /** Returns how many of these items, counted from the first, to commit in one transaction; at least one. */
  count: (items: readonly Item[]) => number;
  /**
   * Commits all items in one transaction and returns one outcome per item, in the same order. The outcome is null if
   * another transaction holds the item's lock; that item then waits for the lock in its lane. Rejects if no item was
   * committed, or if it is unknown whether any was.
   */
  commit: (items: Item[], options: { isLane: boolean }) => Promise<(Outcome<Output> | null)[]>;
  /**
   * Decides what to do when `commit` rejects. `failures` is the number of times that `commit` has rejected this batch,
   * including this time. It must return REJECT if the commit may have succeeded, so that nothing is done twice.
   */
  remedyFor: (error: unknown, items: readonly Item[], failures: number) => Remedy;
};

type Pending<Item, Output> = {
  item: Item;
  resolve: (output: Output) => void;
  reject: (error: unknown) => void;
};

/**
 * Commits many items in a few transactions: items that arrive while a transaction is running go into the next one.
 * There is no timer, so a single item is committed immediately. An item whose lock is held by another transaction
 * leaves its batch and waits in its own lane.
 *
 * A batch that fails is split in half repeatedly, and each half that succeeds is committed immediately. One bad item
 * among n is thus isolated after log2 n failures. The other items are written again once on average, instead of one by
 * one.
 */
export class BatchCommit<Item, Output> {
  readonly #options: BatchOptions<Item, Output>;
  readonly #lanes = new Map<bigint, Pending<Item, Output>[]>();
  readonly #running = new Set<bigint>();
  #waiting: Pending<Item, Output>[] = [];
  #waitingCount = 0;
  #isFlushing = false;

  constructor(options: BatchOptions<Item, Output>) {
    this.#options = options;
  }

  /**
   * Submits an item and resolves once it is durable. Rejects with the item's own error, or with RateLimited if too many
   * are waiting.
   */
  submit(item: Item): Promise<Output> {
    const { maxWaiting, refusal, laneOf, isAlone } = this.#options;
    if (this.#waitingCount >= maxWaiting) return Promise.reject(new RateLimited(refusal, 1));
    this.#waitingCount += 1;
    const done = new Promise<Output>((resolve, reject) => {
      const pending = { item, resolve, reject };
      if (this.#lanes.has(laneOf(item)) || isAlone?.(item) === true) this.#enterLane(pending);
      else this.#waiting.push(pending);
    });
    if (!this.#isFlushing && this.#waiting.length > 0) void this.#flush();
    return done.finally(() => (this.#waitingCount -= 1));
  }

  async #flush(): Promise<void> {
    this.#isFlushing = true;
    while (this.#waiting.length > 0) await this.#commit(this.#takeFrom(this.#waiting), { isLane: false });
    this.#isFlushing = false;
  }

  #takeFrom(waiting: Pending<Item, Output>[]): Pending<Item, Output>[] {
    return waiting.splice(0, this.#options.count(waiting.map(({ item }) => item)));
  }

  /** Never rejects. */
  async #commit(
    batch: Pending<Item, Output>[],
    { isLane, failures = 0 }: { isLane: boolean; failures?: number },
  ): Promise<void> {
    const items = batch.map(({ item }) => item);
    try {
      this.#settle(batch, await this.#options.commit(items, { isLane }));
    } catch (error) {
      const remedy = this.#options.remedyFor(error, items, failures + 1);
      if (remedy === 'DIVIDE' && batch.length > 1) {
        const half = Math.ceil(batch.length / 2);
        await this.#commit(batch.slice(0, half), { isLane });
        await this.#commit(batch.slice(half), { isLane });
      } else if (remedy === 'REPEAT') await this.#commit(batch, { isLane, failures: failures + 1 });
      else for (const { reject } of batch) reject(error);
    }
  }

  #settle(batch: Pending<Item, Output>[], outcomes: readonly (Outcome<Output> | null)[]): void {
    const held: Pending<Item, Output>[] = [];
    for (const [index, pending] of batch.entries()) {
      const outcome = outcomes[index];
      if (outcome === null) held.push(pending);
      else if (outcome === undefined) pending.reject(new Error('an item of a batch has no outcome'));
      else if ('value' in outcome) pending.resolve(outcome.value);
      else pending.reject(outcome.error);
    }
    if (held.length > 0) this.#leaveToLanes(held);
  }

  /**
   * Also moves items that have since arrived for the same lanes, because these items would otherwise overtake the held
   * items.
   */
  #leaveToLanes(held: Pending<Item, Output>[]): void {
    const { laneOf } = this.#options;
    const lanes = new Set(held.map(({ item }) => laneOf(item)));
    const isBehind = ({ item }: Pending<Item, Output>) => lanes.has(laneOf(item));
    const behind = this.#waiting.filter(isBehind);
    this.#waiting = this.#waiting.filter((pending) => !isBehind(pending));
    for (const pending of [...held, ...behind]) this.#enterLane(pending);
  }

  #enterLane(pending: Pending<Item, Output>): void {
    const key = this.#options.laneOf(pending.item);
    const lane = this.#lanes.get(key);
    if (lane !== undefined) return void lane.push(pending);
    this.#lanes.set(key, [pending]);
    this.#runLanes();
  }

  #runLanes(): void {
    for (const key of this.#lanes.keys()) {
      if (this.#running.size >= this.#options.maxLanes) return;
      if (!this.#running.has(key)) void this.#runLane(key);
    }
  }

  async #runLane(key: bigint): Promise<void> {
    this.#running.add(key);
    const lane = this.#lanes.get(key) ?? [];
    // Items submitted in the same tick share a transaction.
    await Promise.resolve();
    while (lane.length > 0) await this.#commit(this.#takeFrom(lane), { isLane: true });
    this.#lanes.delete(key);
    this.#running.delete(key);
    this.#runLanes();
  }
}
