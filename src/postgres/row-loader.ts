import DataLoader from 'dataloader';
import { idKey } from '../core/id-key.ts';

/**
 * One execution's instance of a loader. It immediately returns values that it has already read. DataLoader would
 * instead return a promise that resolves in a later turn, for example for every sender on a page.
 */
export class RowLoader<Key, Value> extends DataLoader<Key, Value, unknown> {
  readonly #known: Map<unknown, Value>;
  readonly #nameOf: (key: Key) => unknown;
  readonly #read: (keys: readonly Key[]) => Promise<ArrayLike<Value | Error>>;

  /** `read` returns one result per key. For `keyOf`, see Loader. */
  constructor(
    read: (keys: readonly Key[]) => Promise<ArrayLike<Value | Error>>,
    keyOf: ((key: Key) => string) | undefined,
  ) {
    const known = new Map<unknown, Value>();
    const name = keyOf ?? nameOf;
    const readAndKeep = async (keys: readonly Key[]) => {
      const values = await read(keys);
      keys.forEach((key, index) => {
        const value = values[index];
        if (!(value instanceof Error)) known.set(name(key), value as Value);
      });
      return values;
    };
    super(readAndKeep, keyOf === undefined ? {} : { cacheKeyFn: keyOf });
    this.#known = known;
    this.#nameOf = name;
    this.#read = readAndKeep;
  }

  /** Returns the value if it has already been read, or otherwise a promise for it. */
  find(key: Key): Value | Promise<Value> {
    const name = this.#nameOf(key);
    return this.#known.has(name) ? (this.#known.get(name) as Value) : super.load(key);
  }

  override async load(key: Key): Promise<Value> {
    return this.find(key);
  }

  /**
   * Reads these keys, so that `find` can return their values immediately. Never rejects: `find` retries the keys that
   * failed.
   */
  async prefetch(keys: readonly Key[]): Promise<void> {
    const unknown = new Map(keys.map((key) => [this.#nameOf(key), key]));
    for (const name of unknown.keys()) if (this.#known.has(name)) unknown.delete(name);
    if (unknown.size > 0) await this.#read([...unknown.values()]).catch(() => undefined);
  }

  /**
   * Gives the loader a value that was read along with others, unless the loader already has a value for the key.
   */
  override prime(key: Key, value: Value): this {
    const name = this.#nameOf(key);
    if (!this.#known.has(name)) this.#known.set(name, value);
    return this;
  }
}

/** Returns the cache key for a key that is an id or a string. */
export function nameOf(key: unknown): unknown {
  return typeof key === 'bigint' ? idKey(key) : key;
}
