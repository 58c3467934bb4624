/** What browsers, and Node, offer to let the tabs of one app take turns. Absent in React Native. */
type Locks = { request: <Value>(name: string, work: () => Promise<Value>) => Promise<Value> };

/**
 * Does the work while no other tab does something under that name. Where there are no locks, it does the work at once.
 */
export function withLock<Value>(name: string, work: () => Promise<Value>): Promise<Value> {
  const { navigator }: { navigator?: { locks?: Locks } } = globalThis;
  return navigator?.locks === undefined ? work() : navigator.locks.request(name, work);
}
