import { shardCount } from './shard.ts';

/**
 * The shards that matter to this node: the shards of the chats of its rooms and of its users, or all shards if the node
 * has a listener for the whole server.
 */
export class Interest {
  readonly #counts = new Uint32Array(shardCount);
  #all = 0;
  /** Called when this node becomes interested in a shard, and when it loses interest in the shard. */
  onChange: (shard: number) => void = () => undefined;

  /** Call this for each new room and each new user. */
  add(shard: number): void {
    const count = (this.#counts[shard] ?? 0) + 1;
    this.#counts[shard] = count;
    if (count === 1 && this.#all === 0) this.onChange(shard);
  }

  /** Call this for each room and each user that is removed. */
  remove(shard: number): void {
    const count = (this.#counts[shard] ?? 0) - 1;
    this.#counts[shard] = count;
    if (count === 0 && this.#all === 0) this.onChange(shard);
  }

  /** Sets the number of listeners that need all shards. */
  needAll(count: number): void {
    const wasAll = this.#all > 0;
    this.#all = count;
    if (wasAll === count > 0) return;
    for (const [shard, other] of this.#counts.entries()) if (other === 0) this.onChange(shard);
  }

  has(shard: number): boolean {
    return this.#all > 0 || (this.#counts[shard] ?? 0) > 0;
  }

  clear(): void {
    this.needAll(0);
    for (const [shard, count] of this.#counts.entries()) {
      if (count === 0) continue;
      this.#counts[shard] = 0;
      this.onChange(shard);
    }
  }
}
