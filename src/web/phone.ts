import { useSyncExternalStore } from 'react';

/** As in the style sheets: a window that has room for the list or for a chat, not for both. */
const phone = matchMedia('(max-width: 760px)');

/** Whether the window is as narrow as a phone's. */
export function isPhone(): boolean {
  return phone.matches;
}

/** Whether the window is now as narrow as a phone's. */
export function useIsPhone(): boolean {
  return useSyncExternalStore(onChange, isPhone);
}

function onChange(listener: () => void): () => void {
  phone.addEventListener('change', listener);
  return () => phone.removeEventListener('change', listener);
}
