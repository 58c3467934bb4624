import DataLoader from 'dataloader';
import { NotFound } from '../errors.ts';
import type { Db } from './client.ts';
import type { PageRequest } from './page.ts';

/**
 * Reads many values by key in one go. `load` returns one result per key, in the order of the keys. It may fill the
 * other loaders of the same execution with rows that it read along the way.
 */
export type Loader<Key, Value> = {
  load: (db: Db, keys: readonly Key[], loaders: Loaders) => Promise<ArrayLike<Value | Error>>;
  /** Two keys with the same string are the same key. Not needed for keys that are a bigint or a string. */
  keyOf?: (key: Key) => string;
};

/**
 * Like a loader, for pages of a list: all requests for the same page in one execution share a statement, which may fill
 * other loaders too.
 */
export type PageLoader<Key, Value> = {
  load: (db: Db, keys: readonly Key[], page: PageRequest, loaders: Loaders) => Promise<ArrayLike<Value | Error>>;
  keyOf?: (key: Key) => string;
};

/** Declares a loader. It has no state: each execution caches its results in its own `Loaders`. */
export function defineLoader<Key, Value>(loader: Loader<Key, Value>): Loader<Key, Value> {
  return loader;
}

/** Declares a loader of pages. */
export function definePageLoader<Key, Value>(loader: PageLoader<Key, Value>): PageLoader<Key, Value> {
  return loader;
}

// Each loader is stored under its own definition, which has the types of its keys and values.
type AnyDataLoader = DataLoader<unknown, unknown, unknown>;

/**
 * The loaders of one execution. Each loader reads the keys that are requested together in one statement, so the number
 * of statements of an operation does not grow with its rows, and caches its results until the execution ends. Loaders
 * return what is stored; callers check first whether the asker may see it.
 */
export class Loaders {
  readonly #db: Db;
  readonly #open = new Map<object, AnyDataLoader>();
  readonly #openPages = new Map<object, Map<string, AnyDataLoader>>();

  constructor(db: Db) {
    this.#db = db;
  }

  /** This execution's instance of a loader. */
  of<Key, Value>(loader: Loader<Key, Value>): DataLoader<Key, Value, unknown> {
    const known = this.#open.get(loader);
    if (known !== undefined) return known as DataLoader<Key, Value, unknown>;
    const opened = create<Key, Value>((keys) => loader.load(this.#db, keys, this), loader.keyOf);
    this.#open.set(loader, opened);
    return opened;
  }

  /** This execution's instance of a page loader for one page. */
  ofPage<Key, Value>(loader: PageLoader<Key, Value>, page: PageRequest): DataLoader<Key, Value, unknown> {
    const pages = this.#openPages.get(loader) ?? new Map<string, AnyDataLoader>();
    this.#openPages.set(loader, pages);
    const pageKey = [page.limit, page.isBackward, page.after, page.before].join('|');
    const known = pages.get(pageKey);
    if (known !== undefined) return known as DataLoader<Key, Value, unknown>;
    const opened = create<Key, Value>((keys) => loader.load(this.#db, keys, page, this), loader.keyOf);
    pages.set(pageKey, opened);
    return opened;
  }

  /** Drops every cached result. Called after each mutation, so that the fields of its result are read again. */
  clear(): void {
    this.#open.clear();
    this.#openPages.clear();
  }
}

function create<Key, Value>(
  load: (keys: readonly Key[]) => Promise<ArrayLike<Value | Error>>,
  keyOf: ((key: Key) => string) | undefined,
): DataLoader<Key, Value, unknown> {
  return new DataLoader<Key, Value, unknown>(load, keyOf === undefined ? {} : { cacheKeyFn: keyOf });
}

const maxBatch = 1_000;
const processLoaders = new WeakMap<Db, Map<object, DataLoader<bigint, unknown>>>();

/**
 * Reads rows by id in one statement for all executions of this process that request them in the same tick: for example,
 * the senders of messages that one group commit has just returned. One statement per execution was a fifth of the cost
 * of a message (bench:send). Nothing is cached from one tick to the next. `read` receives each id once.
 */
export function loadTogether<Row>(
  read: (db: Db, ids: bigint[]) => Promise<ReadonlyMap<bigint, Row>>,
): (db: Db, ids: readonly bigint[]) => Promise<(Row | null | Error)[]> {
  return (db, ids) => {
    const ofDb = processLoaders.get(db) ?? new Map<object, DataLoader<bigint, unknown>>();
    processLoaders.set(db, ofDb);
    const loader =
      ofDb.get(read) ??
      new DataLoader<bigint, unknown>(
        async (all) => {
          const found = await read(db, [...new Set(all)]);
          return all.map((id) => found.get(id) ?? null);
        },
        { cache: false, maxBatchSize: maxBatch },
      );
    ofDb.set(read, loader);
    // Stored under `read`, which returns rows of this type.
    return loader.loadMany(ids) as Promise<(Row | null | Error)[]>;
  };
}

/** The target of a foreign key was deleted between statements, together with the row that referred to it. */
export class Gone extends NotFound {}

/** Resolves to a row that must exist. Rejects with Gone if it has just been deleted. */
export async function present<Row>(loading: Promise<Row | null>): Promise<Row> {
  const row = await loading;
  if (row === null) throw new Gone('The object that this belongs to was just deleted.');
  return row;
}
