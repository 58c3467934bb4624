import { createClient, type Envelope, type Refused } from 'parley-client';

const onEvent = new Set<(envelope: Envelope) => void>();
const onRefused = new Set<(refused: Refused) => void>();

/** The client of this page. Its data is in IndexedDB, so the page appears immediately, even without a network. */
export const client = createClient({
  url: location.origin,
  persistence: 'indexeddb',
  onEvent: (envelope) => onEvent.forEach((listener) => listener(envelope)),
  onRefused: (refused) => onRefused.forEach((listener) => listener(refused)),
});

/** Calls the listener with each event after it has been applied. Returns a function that unsubscribes the listener. */
export function watchEvents(listener: (envelope: Envelope) => void): () => void {
  onEvent.add(listener);
  return () => void onEvent.delete(listener);
}

/**
 * Calls the listener with each message that the server has refused. Returns a function that unsubscribes the listener.
 */
export function watchRefusals(listener: (refused: Refused) => void): () => void {
  onRefused.add(listener);
  return () => void onRefused.delete(listener);
}
