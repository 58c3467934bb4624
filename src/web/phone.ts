import { useSyncExternalStore } from 'react';

/** The same width as in the style sheets. The window then has room for either the list or a chat, but not for both. */
const phone = matchMedia('(max-width: 760px)');

/** Returns whether the window is as narrow as a phone's. */
export function isPhone(): boolean {
  return phone.matches;
}

/** Returns whether the window is as narrow as a phone's. The component is rendered again when this changes. */
export function useIsPhone(): boolean {
  return useSyncExternalStore(onChange, isPhone);
}

function onChange(listener: () => void): () => void {
  phone.addEventListener('change', listener);
  return () => phone.removeEventListener('change', listener);
}
