type Listen = (kind: 'online', listener: () => void) => void;

/**
 * Calls the listener when the browser reports that the network is back. Returns a function that removes the listener.
 */
export function onOnline(listener: () => void): () => void {
  // React Native does not have this event.
  const { addEventListener, removeEventListener } = globalThis as {
    addEventListener?: Listen;
    removeEventListener?: Listen;
  };
  addEventListener?.('online', listener);
  return () => removeEventListener?.('online', listener);
}
