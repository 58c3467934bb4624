import type { KeyValueStore } from './key-value-store.ts';

/** The parts of IndexedDB that this file uses. https://w3c.github.io/IndexedDB/ */
type Request<Value> = {
  result: Value;
  error: unknown;
  addEventListener: (kind: 'success' | 'error' | 'upgradeneeded', listener: () => void) => void;
};
type ObjectStore = {
  get: (key: string) => Request<string | undefined>;
  put: (value: string, key: string) => Request<unknown>;
  delete: (key: string) => Request<unknown>;
};
type Database = {
  createObjectStore: (name: string) => unknown;
  transaction: (name: string, mode: string) => { objectStore: (name: string) => ObjectStore };
};
type Factory = { open: (name: string, version: number) => Request<Database> };

const [databaseName, storeName] = ['parley', 'values'];

/**
 * Returns a store that keeps values in the browser's IndexedDB. Opens the database on first use. The first use rejects
 * if there is no IndexedDB.
 */
export function openIndexedDb(): KeyValueStore {
  let opening: Promise<Database> | undefined;
  const run = async <Value>(mode: string, work: (store: ObjectStore) => Request<Value>): Promise<Value> => {
    const database = await (opening ??= open());
    return settled(work(database.transaction(storeName, mode).objectStore(storeName)));
  };
  return {
    get: (key) => run('readonly', (store) => store.get(key)),
    set: async (key, value) => void (await run('readwrite', (store) => store.put(value, key))),
    delete: async (key) => void (await run('readwrite', (store) => store.delete(key))),
  };
}

async function open(): Promise<Database> {
  const { indexedDB } = globalThis as unknown as { indexedDB?: Factory };
  if (indexedDB === undefined) throw new Error("There is no IndexedDB here: choose persistence 'memory' or your own.");
  const request = indexedDB.open(databaseName, 1);
  request.addEventListener('upgradeneeded', () => request.result.createObjectStore(storeName));
  return settled(request);
}

function settled<Value>(request: Request<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(new Error(String(request.error))));
  });
}
