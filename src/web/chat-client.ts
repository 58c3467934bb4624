import { createClient, type Envelope, type Refused } from 'parley-client';

const onEvent = new Set<(envelope: Envelope) => void>();
const onRefused = new Set<(refused: Refused) => void>();

/** The client of this page. What it knows is in IndexedDB, so the page appears at once, even without a network. */
export const client = createClient({
  url: location.origin,
  persistence: 'indexeddb',
  onEvent: (envelope) => onEvent.forEach((listener) => listener(envelope)),
  onRefused: (refused) => onRefused.forEach((listener) => listener(refused)),
});

/** Calls the listener with each event once it has been applied; returns a function that unsubscribes it. */
export function watchEvents(listener: (envelope: Envelope) => void): () => void {
  onEvent.add(listener);
  return () => void onEvent.delete(listener);
}

/** Calls the listener with each message that the server has refused; returns a function that unsubscribes it. */
export function watchRefusals(listener: (refused: Refused) => void): () => void {
  onRefused.add(listener);
  return () => void onRefused.delete(listener);
}
