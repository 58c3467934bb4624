import { toMessage } from './message.ts';
import { unloaded, type Message, type MessageWindow, type State } from './state.ts';
import type { WirePage } from './wire.ts';

/**
 * The part of the history that a page covers: the newest end, the part before or after a window, or the part around a
 * message.
 */
export type PageKind = 'newest' | 'older' | 'newer' | 'around';

/**
 * Adds a new message at the end of a window, or replaces the old version of a message that is already in it. A message
 * that does not directly follow the last one is not added; instead, the window records that newer messages are missing.
 */
export function appendMessage(before: MessageWindow, message: Message): MessageWindow {
  const window = { ...before, pending: stillPending(before, [message]) };
  const { messages, hasNewer } = window;
  const last = messages.at(-1);
  if (last !== undefined && message.seq <= last.seq) {
    return { ...window, messages: messages.map((known) => (known.seq === message.seq ? message : known)) };
  }
  if (hasNewer) return window;
  if (last !== undefined && message.seq > last.seq + 1) return { ...window, hasNewer: true };
  return { ...window, messages: [...messages, message] };
}

/**
 * Joins a page and the window of its chat. If the two do not touch, an older or newer page is ignored, while any other
 * page replaces the window.
 */
export function putPage(state: State, chatId: string, { kind, page }: { kind: PageKind; page: WirePage }): State {
  const window = state.messages[chatId] ?? unloaded;
  const { hasPreviousPage: hasOlder, hasNextPage } = page.pageInfo;
  const loaded = page.edges.map(({ node }) => toMessage(node));
  const next: MessageWindow = {
    pending: stillPending(window, loaded),
    messages: loaded,
    hasOlder,
    // Nothing follows the newest page. An older page is followed by the messages that were loaded before it.
    hasNewer: kind === 'newest' ? false : kind === 'older' ? true : hasNextPage,
  };
  const isApart = !touches(window, loaded);
  const joined = isApart && (kind === 'older' || kind === 'newer') ? window : isApart ? next : join(window, next);
  return { ...state, messages: { ...state.messages, [chatId]: joined } };
}

/** Returns the pending messages that are not among `messages`, which come from the server. */
function stillPending({ pending }: MessageWindow, messages: readonly Message[]): MessageWindow['pending'] {
  if (pending.length === 0) return pending;
  const arrived = new Set(messages.map(({ clientMessageId }) => clientMessageId));
  return pending.filter(({ clientMessageId }) => !arrived.has(clientMessageId));
}

function touches({ messages }: MessageWindow, loaded: readonly Message[]): boolean {
  const [first, last] = [messages[0]?.seq, messages.at(-1)?.seq];
  const [from, to] = [loaded[0]?.seq, loaded.at(-1)?.seq];
  if (first === undefined || last === undefined || from === undefined || to === undefined) return false;
  return from <= last + 1 && to >= first - 1;
}

function join(window: MessageWindow, page: MessageWindow): MessageWindow {
  const pageStart = page.messages[0]?.seq ?? 0;
  const pageEnd = page.messages.at(-1)?.seq ?? 0;
  // A history may be long, so this code neither sorts it nor puts it into a map.
  const earlier = window.messages.filter(({ seq }) => seq < pageStart);
  const messages = [...earlier, ...page.messages, ...window.messages.filter(({ seq }) => seq > pageEnd)];
  const reachesBack = earlier.length === 0;
  const reachesOn = pageEnd === messages.at(-1)?.seq;
  const windowEnd = window.messages.at(-1)?.seq ?? 0;
  // If both end at the same message and `hasNewer` is false for either of them, that message is the newest one.
  // Messages sent since then arrive as events and are appended.
  const hasNewer =
    pageEnd === windowEnd ? window.hasNewer && page.hasNewer : reachesOn ? page.hasNewer : window.hasNewer;
  return { ...page, messages, hasOlder: reachesBack ? page.hasOlder : window.hasOlder, hasNewer };
}
