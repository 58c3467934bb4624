import type { Context } from './context.ts';

/** Loads those of the keys that the viewer may see: hidden is missing. */
export type NodeLoader = (context: Context, keys: readonly string[]) => Promise<ReadonlyMap<string, object>>;

const loaders = new Map<string, { load: NodeLoader; keyParts: number }>();

/**
 * Says how `node` and `nodes` find things of a type, whose keys are that many numbers. A type without a loader is found
 * by nobody.
 */
export function registerNode(type: string, load: NodeLoader, keyParts = 1): void {
  loaders.set(type, { load, keyParts });
}

/** How things of that type are found; undefined when no one has said so. */
export function findNodeLoader(type: string): { load: NodeLoader; keyParts: number } | undefined {
  return loaders.get(type);
}
