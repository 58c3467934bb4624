/** The Web Locks API of browsers and Node, with which the tabs of an app take turns. It is absent in React Native. */
type Locks = { request: <Value>(name: string, work: () => Promise<Value>) => Promise<Value> };

/**
 * Runs `work` while no other tab runs work under the same name. Runs `work` immediately if the Web Locks API is
 * missing.
 */
export function withLock<Value>(name: string, work: () => Promise<Value>): Promise<Value> {
  const { navigator }: { navigator?: { locks?: Locks } } = globalThis;
  return navigator?.locks === undefined ? work() : navigator.locks.request(name, work);
}
