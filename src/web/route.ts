import { useSyncExternalStore } from 'react';

/** What the page shows, from the part of its address after `#`. */
export type Route = {
  chatId: string | null;
  /** A message to jump to. */
  seq: number | null;
  inviteCode: string | null;
};

/** What the page shows now. */
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

/** Decodes a part of an address; returns it as it is if it is not escaped correctly, as in a mistyped address. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a chat, or of a message in it. */
export function linkTo(chatId: string, seq?: number): string {
  return `#/chat/${encodeURIComponent(chatId)}${seq === undefined ? '' : `/${seq}`}`;
}

/** The address of an invite to a chat. */
export function inviteLink(code: string): string {
  return `${location.origin}/#/invite/${encodeURIComponent(code)}`;
}

/** Opens a chat, at a message if one is named. Asking again for the same message jumps to it again. */
export function openChat(chatId: string, seq?: number): void {
  const link = linkTo(chatId, seq);
  if (location.hash === link) dispatchEvent(new HashChangeEvent('hashchange'));
  else location.hash = link;
}

/** Goes back to the list of chats, without a way back to what was open. */
export function closeChat(): void {
  replaceWith('#/');
}

/** Shows an invite, without a way back to what was open. */
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
