/** The API with which browsers and Node let the tabs of an app take turns. It is absent in React Native. */
type Locks = { request: <Value>(name: string, work: () => Promise<Value>) => Promise<Value> };

/**
 * Runs `work` while no other tab runs work under the same name. Where there are no locks, runs it immediately.
 */
export function withLock<Value>(name: string, work: () => Promise<Value>): Promise<Value> {
  const { navigator }: { navigator?: { locks?: Locks } } = globalThis;
  return navigator?.locks === undefined ? work() : navigator.locks.request(name, work);
}
