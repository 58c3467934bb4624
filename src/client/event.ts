import { count, deletedMessage, editedMessage, newMessage, readTo, type CountChange } from './count.ts';
import { changeMessage, findMessage, putUsers, toMessage, toReactions } from './message.ts';
import { positionOf, unloaded, without, type Chat, type Member, type State } from './state.ts';
import { appendMessage } from './window.ts';
import type { Envelope, WireEvent, WireMessage } from './wire.ts';

type EventOf<Name extends WireEvent['__typename']> = Extract<WireEvent, { __typename: Name }>;

/**
 * How each kind of event changes the state. Other kinds of events, including those that this version does not know,
 * change nothing.
 */
const appliers: {
  [Name in WireEvent['__typename']]?: (state: State, event: EventOf<Name>, position: number) => State;
} = {
  NewMessage: addMessage,
  MessageEdited: replaceMessage,
  MessageDeleted: replaceMessage,
  ReactionsChanged: changeReactions,
  ReadMarkerMoved: (state, { member }, position) =>
    countIn(state, member.chat.id, position, readTo(member.lastReadSeq)),
  NotificationLevelChanged: (state, { member }) =>
    patchChat(state, member.chat.id, { notificationLevel: member.notificationLevel }),
  MemberUpdated: (state, { member }) => updateMember(state, member),
  UserUpdated: (state, { user }) => putUsers(state, [user]),
  PresenceChanged: (state, { userId, presence }) => ({ ...state, presence: { ...state.presence, [userId]: presence } }),
  Typing: startTyping,
  Reset: (state) => ({ ...state, sync: { ...state.sync, isLost: true } }),
  NewChat: (state, { chat }) => (state.chats[chat.id] === undefined ? markStale(state, chat.id) : state),
  AddToChat: addMembers,
  RemoveFromChat: removeMember,
  ChatDeleted: (state, { chatId }) => loseChat(state, chatId),
  ChatUpdated: updateChat,
};

/** Applies one event to the state. */
export function applyEvent(state: State, { cursor, event }: Envelope): State {
  // The cast is safe because each applier is listed under the kind of event that it handles.
  const apply = appliers[event.__typename] as ((...args: [State, WireEvent, number]) => State) | undefined;
  return apply?.(state, event, positionOf(cursor)) ?? state;
}

/** Returns whether, because of this event, data that was read earlier from the chat may show too much or too little. */
export function changesAccess({ event }: Envelope, chatId: string, viewerId: string | undefined): boolean {
  const { __typename: kind } = event;
  if (kind === 'AddToChat') return event.chat.id === chatId && event.members.some(({ user }) => user.id === viewerId);
  if (kind === 'RemoveFromChat') return event.chatId === chatId && event.userId === viewerId;
  if (kind === 'ChatDeleted') return event.chatId === chatId;
  return (kind === 'NewChat' || kind === 'ChatUpdated') && event.chat.id === chatId;
}

/** Records that the chat must be fetched. */
function markStale(state: State, chatId: string): State {
  return { ...state, sync: { ...state.sync, stale: { ...state.sync.stale, [chatId]: true } } };
}

/** Removes a chat and everything in it, because the viewer has lost access to it. */
export function loseChat(state: State, chatId: string): State {
  return {
    ...state,
    chatIds: state.chatIds.filter((id) => id !== chatId),
    chats: without(state.chats, chatId),
    messages: without(state.messages, chatId),
    typing: without(state.typing, chatId),
    members: without(state.members, chatId),
    drafts: without(state.drafts, chatId),
    // Some members of the chat may share no other chat with the viewer. The presence of everyone else is fetched again.
    presence: {},
    sync: { ...state.sync, stale: without(state.sync.stale, chatId) },
  };
}

/** Records that a user has stopped typing in a chat. */
export function stopTyping(state: State, chatId: string, userId: string | null): State {
  const typing = state.typing[chatId]?.filter((id) => id !== userId) ?? [];
  if (typing.length === (state.typing[chatId]?.length ?? 0)) return state;
  return {
    ...state,
    typing: typing.length === 0 ? without(state.typing, chatId) : { ...state.typing, [chatId]: typing },
  };
}

function addMessage(state: State, { message: wire }: EventOf<'NewMessage'>, position: number): State {
  const chatId = wire.chat.id;
  const known = state.chats[chatId];
  if (known === undefined) return markStale(state, chatId);
  const message = toMessage(wire, findMessage(state, chatId, wire.id));
  const isNewest = message.seq >= (known.lastMessage?.seq ?? 0);
  const chat: Chat = {
    ...known,
    lastSeq: Math.max(known.lastSeq, message.seq),
    lastMessage: isNewest ? message : known.lastMessage,
    lastActivityAt: known.lastActivityAt > wire.chat.lastActivityAt ? known.lastActivityAt : wire.chat.lastActivityAt,
  };
  const window = state.messages[chatId];
  const withMessage: State = {
    ...stopTyping(putUsers(state, [wire.sender]), chatId, message.senderId),
    ...(window && { messages: { ...state.messages, [chatId]: appendMessage(window, message) } }),
  };
  const chats = { ...withMessage.chats, [chatId]: { ...chat, peer: withMessage.chats[chatId]?.peer ?? null } };
  return countIn({ ...withMessage, chats }, chatId, position, newMessage(message.seq, originOf(state, wire)));
}

function replaceMessage(
  state: State,
  { __typename: kind, message: wire }: EventOf<'MessageEdited' | 'MessageDeleted'>,
  position: number,
): State {
  const change = kind === 'MessageEdited' ? editedMessage : deletedMessage;
  const counted = countIn(state, wire.chat.id, position, change(wire.seq, originOf(state, wire)));
  const replaced = changeMessage(counted, wire.chat.id, wire.id, (before) => toMessage(wire, before));
  return requote(putUsers(replaced, [wire.sender]), toMessage(wire), wire.chat.id);
}

/** Updates the quotes of a message in replies. Replies also quote messages that are not loaded. */
function requote(
  state: State,
  { id, seq, content, senderId, deletedAt }: ReturnType<typeof toMessage>,
  chatId: string,
) {
  let next = state;
  const { messages = [] } = state.messages[chatId] ?? {};
  for (const reply of [...messages, state.chats[chatId]?.lastMessage]) {
    if (reply?.replyTo?.id !== id) continue;
    const replyTo = { id, seq, content, senderId, deletedAt };
    next = changeMessage(next, chatId, reply.id, (message) => ({ ...message, replyTo }));
  }
  return next;
}

function originOf(state: State, { sender, mentions }: WireMessage) {
  const viewerId = state.viewer?.user.id;
  const mentionsViewer = mentions.some(({ isEveryone, user }) => isEveryone || user?.id === viewerId);
  return { isOwn: sender !== null && sender.id === viewerId, mentionsViewer };
}

function changeReactions(state: State, { message, emoji, userId, added }: EventOf<'ReactionsChanged'>): State {
  const isOwn = userId === state.viewer?.user.id;
  return changeMessage(state, message.chat.id, message.id, (before) => ({
    ...before,
    reactions: toReactions(message.reactions, before.reactions).map((reaction) =>
      isOwn && reaction.emoji === emoji ? { ...reaction, viewerReacted: added } : reaction,
    ),
  }));
}

function countIn(state: State, chatId: string, position: number, change: CountChange): State {
  const known = state.chats[chatId];
  if (known === undefined) return markStale(state, chatId);
  const { chat, isUncertain } = count(known, position, change);
  const counted = { ...state, chats: { ...state.chats, [chatId]: chat } };
  return isUncertain ? markStale(counted, chatId) : counted;
}

/** Discards the loaded part of a chat's history. */
function dropWindow(state: State, chatId: string): State {
  const window = state.messages[chatId];
  if (window === undefined) return state;
  return { ...state, messages: { ...state.messages, [chatId]: { ...unloaded, pending: window.pending } } };
}

function patchChat(state: State, chatId: string, patch: Partial<Chat>): State {
  const chat = state.chats[chatId];
  if (chat === undefined) return markStale(state, chatId);
  return { ...state, chats: { ...state.chats, [chatId]: { ...chat, ...patch } } };
}

function updateChat(state: State, { chat: face }: EventOf<'ChatUpdated'>): State {
  const known = state.chats[face.id];
  const updated = patchChat(state, face.id, face);
  if (known === undefined || known.type === face.type) return updated;
  // The viewer may now see more or less of the history, so no loaded data is reliable.
  return markStale(dropWindow(patchChat(updated, face.id, { lastMessage: null }), face.id), face.id);
}

function addMembers(state: State, { chat, addedCount, members: added }: EventOf<'AddToChat'>, position: number): State {
  const known = state.chats[chat.id];
  const isViewer = added.some(({ user }) => user.id === state.viewer?.user.id);
  if (known === undefined || (isViewer && position > known.countedAt)) {
    // The visible part of the history may differ from the part that was visible during an earlier membership.
    return markStale(dropWindow(state, chat.id), chat.id);
  }
  const next = putUsers(
    state,
    added.map(({ user }) => user),
  );
  const members = next.members[chat.id];
  if (members === undefined) return next;
  // The event lists only the first hundred members. The member list must be loaded again to get the rest.
  if (addedCount > added.length) return { ...next, members: without(next.members, chat.id) };
  const joined: Record<string, Member> = { ...members };
  for (const { user, role, mutedUntil } of added) joined[user.id] = { role, mutedUntil };
  return { ...next, members: { ...next.members, [chat.id]: joined } };
}

function removeMember(state: State, { chatId, userId }: EventOf<'RemoveFromChat'>, position: number): State {
  if (userId === state.viewer?.user.id) {
    // If the chat was read after the removal, the viewer is a member again.
    return position <= (state.chats[chatId]?.countedAt ?? 0) ? state : loseChat(state, chatId);
  }
  const members = state.members[chatId];
  return {
    ...stopTyping(state, chatId, userId),
    presence: without(state.presence, userId),
    ...(members && { members: { ...state.members, [chatId]: without(members, userId) } }),
  };
}

function updateMember(state: State, { chat, user, role, mutedUntil }: EventOf<'MemberUpdated'>['member']): State {
  const next = user.id === state.viewer?.user.id ? patchChat(state, chat.id, { role, mutedUntil }) : state;
  const members = next.members[chat.id];
  if (members?.[user.id] === undefined) return next;
  return { ...next, members: { ...next.members, [chat.id]: { ...members, [user.id]: { role, mutedUntil } } } };
}

function startTyping(state: State, { chatId, userId, user }: EventOf<'Typing'>): State {
  const typing = state.typing[chatId] ?? [];
  if (state.chats[chatId] === undefined || userId === state.viewer?.user.id || typing.includes(userId)) return state;
  return putUsers({ ...state, typing: { ...state.typing, [chatId]: [...typing, userId] } }, [user]);
}
