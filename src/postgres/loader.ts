import { whenThere, type Soon } from '../core/soon.ts';
import { NotFound } from '../errors.ts';
import type { Db } from './client.ts';
import type { PageRequest } from './page.ts';
import { nameOf, RowLoader } from './row-loader.ts';
import { SharedRead } from './shared-read.ts';

/**
 * Gives another loader a value that the same statement has read, for the executions that requested the key at `index`.
 */
export type Prime = <Key, Value>(index: number, loader: Loader<Key, Value>, found: { key: Key; value: Value }) => void;

/**
 * Reads many values by key in one statement, on behalf of several executions. `load` returns one result per key, in the
 * order of the keys. No two keys are equal. A result must depend only on its key. If only some askers may see a result,
 * the key must include the asker.
 */
export type Loader<Key, Value> = {
  load: (db: Db, keys: readonly Key[], prime: Prime) => Promise<ArrayLike<Value | Error>>;
  /**
   * Returns a string for a key; keys with the same string count as equal. Not needed for keys of type bigint or
   * string.
   */
  keyOf?: (key: Key) => string;
  /**
   * Whether the statement also writes, for example to record who has read something. Executions never share such a
   * statement.
   */
  alsoWrites?: true;
};

/** Like a loader, but for pages of lists: requests with the same page arguments share a statement. */
export type PageLoader<Key, Value> = {
  load: (db: Db, keys: readonly Key[], page: PageRequest, prime: Prime) => Promise<ArrayLike<Value | Error>>;
  keyOf?: (key: Key) => string;
};

/** Declares a loader. A loader has no state: each execution caches its results in its own `Loaders`. */
export function defineLoader<Key, Value>(loader: Loader<Key, Value>): Loader<Key, Value> {
  return loader;
}

/** Declares a page loader. */
export function definePageLoader<Key, Value>(loader: PageLoader<Key, Value>): PageLoader<Key, Value> {
  return loader;
}

// Each loader is stored under its own definition, which determines the types of its keys and values.
type AnyRowLoader = RowLoader<unknown, unknown>;

/**
 * The loaders of one execution. Each loader uses one statement for all keys that are requested together, so the number
 * of statements in an operation does not grow with the number of rows. Each loader caches its results until the
 * execution ends or `clear` is called. Executions share statements with each other (shared-read.ts). Loaders return
 * rows without checking access, so callers must check first whether the asker may see them.
 */
export class Loaders {
  readonly #db: Db;
  readonly #reads: SharedReads;
  readonly #open = new Map<object, AnyRowLoader>();
  readonly #openPages = new Map<object, Map<string, AnyRowLoader>>();
  #take = this.#newTake();

  constructor(db: Db) {
    this.#db = db;
    this.#reads = sharedReadsOf(db);
  }

  /** Returns this execution's instance of a loader. */
  of<Key, Value>(loader: Loader<Key, Value>): RowLoader<Key, Value> {
    const known = this.#open.get(loader);
    if (known !== undefined) return known as unknown as RowLoader<Key, Value>;
    const read = (keys: readonly Key[]) =>
      loader.alsoWrites === true
        ? loader.load(
            this.#db,
            keys,
            toPrime((_, found) => this.#take(found)),
          )
        : this.#reads.of(loader).read(keys, this.#take);
    const opened = new RowLoader<Key, Value>(read, loader.keyOf);
    this.#open.set(loader, opened as unknown as AnyRowLoader);
    return opened;
  }

  /** Returns this execution's instance of a page loader for one page. */
  ofPage<Key, Value>(loader: PageLoader<Key, Value>, page: PageRequest): RowLoader<Key, Value> {
    const pages = this.#openPages.get(loader) ?? new Map<string, AnyRowLoader>();
    this.#openPages.set(loader, pages);
    const pageKey = [page.limit, page.isBackward, page.after, page.before].join('|');
    const known = pages.get(pageKey);
    if (known !== undefined) return known as unknown as RowLoader<Key, Value>;
    const read = (keys: readonly Key[]) => this.#reads.ofPage(loader, { page, pageKey }).read(keys, this.#take);
    const opened = new RowLoader<Key, Value>(read, loader.keyOf);
    pages.set(pageKey, opened as unknown as AnyRowLoader);
    return opened;
  }

  /**
   * Drops every cached result. Called after each mutation, so that the fields of the mutation's result are read again.
   */
  clear(): void {
    this.#open.clear();
    this.#openPages.clear();
    this.#take = this.#newTake();
  }

  /**
   * Returns a function that caches the additional values that a statement has read, unless the cache was cleared after
   * the statement began.
   */
  #newTake(): (found: Found) => void {
    const take = ({ loader, key, value }: Found) => {
      if (this.#take === take) this.of(loader).prime(key, value);
    };
    return take;
  }
}

/** A value that a statement has read for another loader. */
type Found = { loader: Loader<unknown, unknown>; key: unknown; value: unknown };
type AnySharedRead = SharedRead<unknown, unknown, Found>;

/**
 * The maximum number of keys that one statement reads for several executions: keys of single rows, and keys of lists of
 * rows.
 */
const maxKeys = 1_000;
const maxLists = 16;

/** The reads that all executions on the same database share. */
class SharedReads {
  readonly #db: Db;
  readonly #open = new Map<object, AnySharedRead>();
  readonly #openPages = new Map<object, Map<string, AnySharedRead>>();

  constructor(db: Db) {
    this.#db = db;
  }

  of<Key, Value>(loader: Loader<Key, Value>): SharedRead<Key, Value, Found> {
    const known = this.#open.get(loader);
    if (known !== undefined) return known as unknown as SharedRead<Key, Value, Found>;
    const opened = new SharedRead<Key, Value, Found>((keys, find) => loader.load(this.#db, keys, toPrime(find)), {
      keyOf: loader.keyOf ?? nameOf,
      maxKeys,
    });
    this.#open.set(loader, opened as unknown as AnySharedRead);
    return opened;
  }

  ofPage<Key, Value>(
    loader: PageLoader<Key, Value>,
    { page, pageKey }: { page: PageRequest; pageKey: string },
  ): SharedRead<Key, Value, Found> {
    const pages = this.#openPages.get(loader) ?? new Map<string, AnySharedRead>();
    this.#openPages.set(loader, pages);
    const known = pages.get(pageKey);
    if (known !== undefined) return known as unknown as SharedRead<Key, Value, Found>;
    // Every cursor adds a page, so drop the pages that are idle.
    for (const [key, read] of pages) if (read.isIdle) pages.delete(key);
    const opened = new SharedRead<Key, Value, Found>((keys, find) => loader.load(this.#db, keys, page, toPrime(find)), {
      keyOf: loader.keyOf ?? nameOf,
      maxKeys: maxLists,
    });
    pages.set(pageKey, opened as unknown as AnySharedRead);
    return opened;
  }
}

const sharedReads = new WeakMap<Db, SharedReads>();

function sharedReadsOf(db: Db): SharedReads {
  const known = sharedReads.get(db) ?? new SharedReads(db);
  sharedReads.set(db, known);
  return known;
}

function toPrime(find: (index: number, found: Found) => void): Prime {
  return (index, loader, { key, value }) =>
    find(index, { loader: loader as unknown as Loader<unknown, unknown>, key, value });
}

/** Makes a loader from a statement that returns rows by id. The loader returns null for an id without a row. */
export function byId<Row>(
  read: (db: Db, ids: readonly bigint[]) => Promise<ReadonlyMap<bigint, Row>>,
): (db: Db, ids: readonly bigint[]) => Promise<(Row | null)[]> {
  return async (db, ids) => {
    const found = await read(db, ids);
    return ids.map((id) => found.get(id) ?? null);
  };
}

/** The target of a foreign key was deleted between statements, together with the row that referred to it. */
export class Gone extends NotFound {}

/** Returns a row that must exist. Throws Gone, or rejects with it, if the row has just been deleted. */
export function present<Row>(found: Soon<Row | null>): Soon<Row> {
  return whenThere(found, demandRow);
}

function demandRow<Row>(row: Row | null): Row {
  if (row === null) throw new Gone('The object that this belongs to was just deleted.');
  return row;
}
