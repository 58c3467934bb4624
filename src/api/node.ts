import type { Context } from './context.ts';

/** Loads the rows with these keys. Rows that the asker may not see are missing from the result. */
export type NodeLoader = (context: Context, keys: readonly string[]) => Promise<ReadonlyMap<string, object>>;

const loaders = new Map<string, { load: NodeLoader; keyParts: number }>();

/**
 * Registers how `node` and `nodes` load objects of a type whose keys consist of `keyParts` numbers. Objects of a type
 * that has no loader are never found.
 */
export function registerNode(type: string, load: NodeLoader, keyParts = 1): void {
  loaders.set(type, { load, keyParts });
}

/** Returns the loader of the type, or undefined if none is registered. */
export function findNodeLoader(type: string): { load: NodeLoader; keyParts: number } | undefined {
  return loaders.get(type);
}

/** Returns whether a loader has found a row. If the loader failed, throws its error. */
export function isFound<Row extends object>(found: Row | Error | null | undefined): found is Row {
  if (found instanceof Error) throw found;
  return found != null;
}

/**
 * Returns the rows that a loader has found, by key. `rows` must be in the order of `keys`. If the loader failed, throws
 * its error.
 */
export function foundNodes(
  keys: readonly string[],
  rows: readonly (object | Error | null)[],
): ReadonlyMap<string, object> {
  const found = new Map<string, object>();
  keys.forEach((key, index) => {
    const row = rows[index];
    if (isFound(row)) found.set(key, row);
  });
  return found;
}
