import { isUnread } from './count.ts';
import { applyEvent, changesAccess, loseChat, stopTyping } from './event.ts';
import { putUsers, toMessage } from './message.ts';
import { nothing, positionOf, unloaded, without, type Chat, type Connection, type Member } from './state.ts';
import type { PendingMessage, Presence, State } from './state.ts';
import { appendMessage, putPage, type PageKind } from './window.ts';
import type { Envelope, WireChat, WireMember, WireMessage, WirePage, WireUser } from './wire.ts';

/**
 * Accompanies the answer to a query: the cursor that the query read first, and the later events that were applied while
 * the query was in progress.
 */
export type Answered = { readonly cursor: string; readonly replays: readonly Envelope[] };

/** All actions that change the state. */
export type Action =
  | { type: 'event'; envelope: Envelope }
  | { type: 'connection'; connection: Connection }
  /** `isFirst`: whether this page replaces everything that was known, except drafts and pending messages. */
  | ({
      type: 'chats';
      isFirst: boolean;
      viewer: WireViewer;
      chats: readonly WireChat[];
      through: string | null;
    } & Answered)
  /**
   * The answer to a query for specific chats. `missing`: chats that were requested but that the viewer is not a member
   * of.
   */
  | ({ type: 'refreshed'; chats: readonly WireChat[]; missing: readonly string[]; through: string } & Answered)
  | { type: 'settled'; through: string }
  /** Events were missed and cannot be replayed. */
  | { type: 'lost' }
  | ({ type: 'page'; chatId: string; kind: PageKind; page: WirePage } & Answered)
  | ({ type: 'members'; chatId: string; members: readonly WireMember[] } & Answered)
  | { type: 'presence'; presence: Readonly<Record<string, Presence | null>> }
  | { type: 'typingEnded'; chatId: string; userId: string }
  | { type: 'pending'; chatId: string; pending: readonly PendingMessage[] }
  | { type: 'sent'; chatId: string; message: WireMessage }
  | { type: 'draft'; chatId: string; text: string }
  | { type: 'restored'; state: State }
  | { type: 'signedOut' };

/** The viewer, with the fields that the documents select. */
export type WireViewer = { id: string; user: WireUser };

/**
 * Returns the state after an action. This function is pure: it always returns the same result for the same state and
 * action.
 */
export function reduce(state: State, action: Action): State {
  const next = apply(state, action);
  return next === state || next.chats === state.chats ? next : arrange(next);
}

/** Returns the state after one event from the subscription in document.ts. */
export function reduceEvent(state: State, envelope: Envelope): State {
  return reduce(state, { type: 'event', envelope });
}

type ActionOf<Type> = Extract<Action, { type: Type }>;

const appliers: { [Type in Action['type']]: (state: State, action: ActionOf<Type>) => State } = {
  event: (state, { envelope }) => {
    const next = applyEvent(state, envelope);
    const { cursor } = envelope;
    return next.sync.cursor === cursor ? next : { ...next, sync: { ...next.sync, cursor } };
  },
  connection: (state, { connection }) => (state.connection === connection ? state : { ...state, connection }),
  chats: putSnapshot,
  refreshed: refresh,
  settled: settle,
  lost: (state) => ({ ...state, sync: { ...state.sync, isLost: true } }),
  page: (state, action) =>
    isOvertaken(state, action.chatId, action) ? state : replay(putNamed(state, action), action),
  members: (state, action) => replay(putMembers(state, action), action),
  presence: putPresence,
  typingEnded: (state, { chatId, userId }) => stopTyping(state, chatId, userId),
  pending: putPending,
  sent: putSent,
  draft: (state, { chatId, text }) => ({
    ...state,
    drafts: text === '' ? without(state.drafts, chatId) : { ...state.drafts, [chatId]: text },
  }),
  restored: ({ connection }, { state }) => ({ ...state, connection }),
  signedOut: () => nothing,
};

function apply(state: State, action: Action): State {
  // The cast is safe because each applier is listed under the type of action that it handles.
  return (appliers[action.type] as (...args: [State, Action]) => State)(state, action);
}

/** Adds a message that the server has accepted to the end of its chat. */
function putSent(state: State, { chatId, message }: ActionOf<'sent'>): State {
  const window = state.messages[chatId];
  // A message that does not directly follow the last one arrives as an event, after the missing messages.
  if (window === undefined || window.hasNewer || (window.messages.at(-1)?.seq ?? 0) !== message.seq - 1) return state;
  const next = putUsers(state, [message.sender]);
  return { ...next, messages: { ...next.messages, [chatId]: appendMessage(window, toMessage(message)) } };
}

/**
 * Returns whether any event that was applied since the query was sent affects the part of the chat that the answer may
 * show. If so, the client must send the query again.
 */
export function isOvertaken(state: State, chatId: string, { replays }: Answered): boolean {
  if (state.chats[chatId] === undefined) return true;
  return replays.some((envelope) => changesAccess(envelope, chatId, state.viewer?.user.id));
}

/** Reapplies the events that an answer may not include yet, so that a late answer does not undo them. */
function replay(state: State, { replays }: Answered): State {
  return replays.reduce(applyEvent, state);
}

function putSnapshot(state: State, action: ActionOf<'chats'>): State {
  const { viewer, chats, cursor, isFirst } = action;
  const base: State = isFirst
    ? {
        ...nothing,
        connection: state.connection,
        drafts: state.drafts,
        messages: keepPending(state),
        viewer: { ...viewer, unreadChatCount: 0 },
        users: { [viewer.user.id]: viewer.user },
        // Until all chats are loaded, a client that restarts must start from the beginning.
        sync: { cursor, isLost: true, stale: {} },
      }
    : state;
  const wanted = chats.filter(({ id }) => base.chats[id] === undefined && (isFirst || !isTouched(base, id, action)));
  return replay(putChats(base, wanted, action), action);
}

/** Returns whether the viewer gained or lost access to the chat while the response was on its way. */
function isTouched(state: State, chatId: string, { replays }: Answered): boolean {
  return replays.some(
    (envelope) => envelope.event.__typename !== 'ChatUpdated' && changesAccess(envelope, chatId, state.viewer?.user.id),
  );
}

function refresh(state: State, action: ActionOf<'refreshed'>): State {
  let next = state;
  for (const id of action.missing) if (!isTouched(state, id, action)) next = loseChat(next, id);
  const chats = action.chats.filter(({ id }) => !isTouched(state, id, action));
  let { stale } = next.sync;
  for (const { id } of chats) stale = without(stale, id);
  return replay(putChats({ ...next, sync: { ...next.sync, stale } }, chats, action), action);
}

function putChats(
  state: State,
  chats: readonly WireChat[],
  { cursor, through }: { cursor: string; through: string | null },
): State {
  const put: Record<string, Chat> = {};
  let next = state;
  for (const { viewerMembership, lastMessage, ...chat } of chats) {
    if (viewerMembership === null) continue;
    next = putUsers(next, [chat.peer, lastMessage?.sender ?? null]);
    put[chat.id] = {
      ...chat,
      ...viewerMembership,
      lastMessage: lastMessage && toMessage(lastMessage),
      countedAt: positionOf(cursor),
      exactAfter: through === null ? null : positionOf(through),
    };
  }
  return { ...next, chats: { ...next.chats, ...put } };
}

/** Records that the first answers may already have counted the events up to `through`. */
function settle(state: State, { through }: ActionOf<'settled'>): State {
  const chats = { ...state.chats };
  for (const chat of Object.values(chats)) {
    if (chat.exactAfter === null) chats[chat.id] = { ...chat, exactAfter: positionOf(through) };
  }
  return { ...state, chats, sync: { ...state.sync, isLost: false } };
}

function putNamed(state: State, action: ActionOf<'page'>): State {
  const senders = action.page.edges.map(({ node }) => node.sender);
  return putPage(putUsers(state, senders), action.chatId, action);
}

function putMembers(state: State, { chatId, members }: ActionOf<'members'>): State {
  if (state.chats[chatId] === undefined) return state;
  const byUser: Record<string, Member> = {};
  for (const { user, role, mutedUntil } of members) byUser[user.id] = { role, mutedUntil };
  const users = members.map(({ user }) => user);
  return putUsers({ ...state, members: { ...state.members, [chatId]: byUser } }, users);
}

function putPresence(state: State, { presence }: ActionOf<'presence'>): State {
  const next = { ...state.presence };
  for (const [id, value] of Object.entries(presence)) {
    if (value === null) delete next[id];
    else next[id] = value;
  }
  return { ...state, presence: next };
}

function putPending(state: State, { chatId, pending }: ActionOf<'pending'>): State {
  const window = state.messages[chatId];
  const isKnown = state.chats[chatId] !== undefined;
  if (window === undefined && (pending.length === 0 || !isKnown)) return state;
  // The chat was missing when all data was fetched again, and its pending messages have since been refused.
  if (pending.length === 0 && !isKnown) return { ...state, messages: without(state.messages, chatId) };
  return { ...state, messages: { ...state.messages, [chatId]: { ...(window ?? unloaded), pending } } };
}

function keepPending(state: State): State['messages'] {
  const waiting = Object.entries(state.messages).filter(([, { pending }]) => pending.length > 0);
  return Object.fromEntries(waiting.map(([id, { pending }]) => [id, { ...unloaded, pending }]));
}

/** Orders the chats as `Viewer.chats` does, and counts the unread chats. */
function arrange(state: State): State {
  const chats = Object.values(state.chats).toSorted(byActivity);
  const chatIds = chats.map(({ id }) => id);
  const isSameOrder =
    chatIds.length === state.chatIds.length && chatIds.every((id, index) => id === state.chatIds[index]);
  const unreadChatCount = chats.filter(isUnread).length;
  const { viewer } = state;
  return {
    ...state,
    chatIds: isSameOrder ? state.chatIds : chatIds,
    viewer: viewer === null || viewer.unreadChatCount === unreadChatCount ? viewer : { ...viewer, unreadChatCount },
  };
}

function byActivity(one: Chat, other: Chat): number {
  if (one.lastActivityAt !== other.lastActivityAt) return one.lastActivityAt < other.lastActivityAt ? 1 : -1;
  return keyOf(other.id) - keyOf(one.id);
}

/** Returns the number in a chat's id, by which the server orders chats that have the same `lastActivityAt`. */
function keyOf(id: string): number {
  return Number(atob(id.replaceAll('-', '+').replaceAll('_', '/')).split(':')[1]);
}
