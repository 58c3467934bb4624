import type { SharedRows } from '../log/event.ts';
import type { Loaders } from '../postgres/loader.ts';

/**
 * The loaders for a slice of events. Events that came with rows share loaders only with events whose rows were read at
 * the same time. Rows that came with an earlier event may be older than a later event, which would then show the state
 * before its own change.
 */
export class SliceLoaders {
  readonly #create: () => Loaders;
  readonly #byRows = new Map<number | null, Loaders>();

  constructor(create: () => Loaders) {
    this.#create = create;
  }

  /** Returns the loaders for an event with these rows, or for all events that came without rows. */
  of(rows?: SharedRows): Loaders {
    const key = rows?.until ?? null;
    let loaders = this.#byRows.get(key);
    if (loaders === undefined) {
      loaders = this.#create();
      this.#byRows.set(key, loaders);
    }
    return loaders;
  }
}
