import type { KeyValueStore } from './key-value-store.ts';

/**
 * Where a client keeps its state while the app is closed: 'memory' (nowhere), 'indexeddb' (in browsers), or your own
 * store.
 */
export type Persistence = 'memory' | 'indexeddb' | KeyValueStore;

/**
 * Opens the store that the app has chosen. All keys begin with `prefix`, so that clients of several servers can share
 * one store.
 */
export function openStorage(persistence: Persistence, prefix: string): KeyValueStore {
  let opening: Promise<KeyValueStore> | undefined;
  const store = () => (opening ??= openStore(persistence));
  return {
    get: async (key) => (await store()).get(prefix + key),
    set: async (key, value) => (await store()).set(prefix + key, value),
    delete: async (key) => (await store()).delete(prefix + key),
  };
}

async function openStore(persistence: Persistence): Promise<KeyValueStore> {
  if (persistence === 'memory') return inMemory();
  // Loaded only when it is used, so that other apps do not have to load it.
  return persistence === 'indexeddb' ? (await import('./indexed-db.ts')).openIndexedDb() : persistence;
}

function inMemory(): KeyValueStore {
  const values = new Map<string, string>();
  return {
    get: async (key) => values.get(key),
    set: async (key, value) => void values.set(key, value),
    delete: async (key) => void values.delete(key),
  };
}
