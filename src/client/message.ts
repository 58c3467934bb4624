import type { Message, Reaction, State, User } from './state.ts';
import type { WireMessage, WireReaction } from './wire.ts';

/**
 * Converts a message into the form in which the store keeps it. An event cannot say whether the viewer reacted, so that
 * information comes from `before`.
 */
export function toMessage({ sender, replyTo, mentions, reactions, ...wire }: WireMessage, before?: Message): Message {
  const { id, seq, kind, content, clientMessageId, createdAt, editedAt, deletedAt, custom, files } = wire;
  return {
    ...{ id, seq, kind, content, clientMessageId, createdAt, editedAt, deletedAt, custom, files },
    senderId: sender?.id ?? null,
    replyTo: replyTo && {
      id: replyTo.id,
      seq: replyTo.seq,
      content: replyTo.content,
      deletedAt: replyTo.deletedAt,
      senderId: replyTo.sender?.id ?? null,
    },
    mentions: mentions.map((mention) => (mention.isEveryone ? null : (mention.user?.id ?? ''))),
    reactions: toReactions(reactions, before?.reactions),
  };
}

/** Fills in `viewerReacted` with the value that came with the reaction, or else with the previous value. */
export function toReactions(reactions: readonly WireReaction[], before: readonly Reaction[] = []): Reaction[] {
  return reactions.map(({ emoji, count, viewerReacted }) => ({
    emoji,
    count,
    viewerReacted: viewerReacted ?? before.find((reaction) => reaction.emoji === emoji)?.viewerReacted ?? false,
  }));
}

/** Returns the message with this id, if the store has it. */
export function findMessage(state: State, chatId: string, id: string): Message | undefined {
  const last = state.chats[chatId]?.lastMessage;
  return state.messages[chatId]?.messages.find((message) => message.id === id) ?? (last?.id === id ? last : undefined);
}

/**
 * Changes a message wherever the store has it: in the chat's window, as the chat's newest message, and as a quote in
 * replies.
 */
export function changeMessage(state: State, chatId: string, id: string, change: (message: Message) => Message): State {
  const before = findMessage(state, chatId, id);
  const window = state.messages[chatId];
  const chat = state.chats[chatId];
  if (chat === undefined) return state;
  const after = before && change(before);
  const update = (message: Message): Message => {
    if (message.id === id && after !== undefined) return after;
    if (after === undefined || message.replyTo?.id !== id) return message;
    const { seq, content, senderId, deletedAt } = after;
    return { ...message, replyTo: { id, seq, content, senderId, deletedAt } };
  };
  return {
    ...state,
    ...(window && { messages: { ...state.messages, [chatId]: { ...window, messages: window.messages.map(update) } } }),
    ...(chat.lastMessage && {
      chats: { ...state.chats, [chatId]: { ...chat, lastMessage: update(chat.lastMessage) } },
    }),
  };
}

/** Puts newer profiles into the store, including the places where a user appears as a peer or as the viewer. */
export function putUsers(state: State, users: readonly (User | null)[]): State {
  let next = state;
  for (const user of users) {
    if (user === null || isSame(next.users[user.id], user)) continue;
    const chats = { ...next.chats };
    for (const chat of Object.values(chats)) if (chat.peer?.id === user.id) chats[chat.id] = { ...chat, peer: user };
    const viewer = next.viewer?.user.id === user.id ? { ...next.viewer, user } : next.viewer;
    next = { ...next, users: { ...next.users, [user.id]: user }, chats, viewer };
  }
  return next;
}

function isSame(known: User | undefined, user: User): boolean {
  return (
    known?.username === user.username &&
    known.displayName === user.displayName &&
    known.kind === user.kind &&
    known.avatar?.id === user.avatar?.id
  );
}
