import { useSyncExternalStore } from 'react';

/** The content of the page, according to the part of its address after `#`. */
export type Route = {
  chatId: string | null;
  /** A message to jump to. */
  seq: number | null;
  inviteCode: string | null;
};

/** Returns what the page currently shows. */
export function useRoute(): Route {
  return parseRoute(useSyncExternalStore(onNavigation, () => location.hash));
}

/** Reads `#/chat/ID`, `#/chat/ID/SEQ` and `#/invite/CODE`. */
export function parseRoute(hash: string): Route {
  const [, kind, id = '', seq = ''] = hash.split('/').map(decode);
  return {
    chatId: kind === 'chat' && id !== '' ? id : null,
    seq: kind === 'chat' && /^\d+$/.test(seq) ? Number(seq) : null,
    inviteCode: kind === 'invite' && id !== '' ? id : null,
  };
}

/**
 * Decodes a part of an address. If the part is not escaped correctly, as in a mistyped address, returns it unchanged.
 */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Returns the address of a chat, or of a message in it. */
export function linkTo(chatId: string, seq?: number): string {
  return `#/chat/${encodeURIComponent(chatId)}${seq === undefined ? '' : `/${seq}`}`;
}

/** Returns the address of an invite to a chat. */
export function inviteLink(code: string): string {
  return `${location.origin}/#/invite/${encodeURIComponent(code)}`;
}

/**
 * Opens a chat, and jumps to a message if one is given. If the message is already the current one, jumps to it again.
 */
export function openChat(chatId: string, seq?: number): void {
  const link = linkTo(chatId, seq);
  if (location.hash === link) dispatchEvent(new HashChangeEvent('hashchange'));
  else location.hash = link;
}

/** Returns to the list of chats. The browser's back button does not return to the view that was open before. */
export function closeChat(): void {
  replaceWith('#/');
}

/** Shows an invite. The browser's back button does not return to the view that was open before. */
export function openInvite(code: string): void {
  replaceWith(`#/invite/${encodeURIComponent(code)}`);
}

function replaceWith(link: string): void {
  history.replaceState(null, '', link);
  dispatchEvent(new HashChangeEvent('hashchange'));
}

function onNavigation(listener: () => void): () => void {
  addEventListener('hashchange', listener);
  return () => removeEventListener('hashchange', listener);
}
