type Listen = (kind: 'online', listener: () => void) => void;

/** Calls the listener when the browser says that the network is back; returns a function that unsubscribes it. */
export function onOnline(listener: () => void): () => void {
  // React Native has no such event.
  const { addEventListener, removeEventListener } = globalThis as {
    addEventListener?: Listen;
    removeEventListener?: Listen;
  };
  addEventListener?.('online', listener);
  return () => removeEventListener?.('online', listener);
}
