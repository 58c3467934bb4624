const last = new Map<bigint, Promise<unknown>>();

/**
 * Does the work when everything is done that came before it under the same key, in this process. Whoever would wait for a
 * lock that only they themselves hold then waits without a connection to the database, of which there are few for all.
 */
export async function takeTurn<T>(key: bigint, work: () => Promise<T>): Promise<T> {
  const before = last.get(key);
  const working = before === undefined ? work() : before.then(work);
  const settled = working.catch(() => undefined);
  last.set(key, settled);
  try {
    return await working;
  } finally {
    if (last.get(key) === settled) last.delete(key);
  }
}
