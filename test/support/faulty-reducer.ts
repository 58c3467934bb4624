import { reduce, type Action } from '../../src/client/reducer.ts';
import { nothing, type Chat, type State } from '../../src/client/state.ts';
import type { WireEvent } from '../../src/client/wire.ts';

type Reducer = (state: State, action: Action) => State;

/** Returns a reducer that does not notice events of these kinds. */
function deafTo(...kinds: WireEvent['__typename'][]): Reducer {
  return (state, action) => {
    if (action.type === 'event' && kinds.includes(action.envelope.event.__typename)) return state;
    return reduce(
      state,
      without(action, (event) => kinds.includes(event.__typename)),
    );
  };
}

/** Returns the action without the replayed events for which `isLeftOut` returns true. */
function without(action: Action, isLeftOut: (event: WireEvent) => boolean): Action {
  if (!('replays' in action)) return action;
  return { ...action, replays: action.replays.filter(({ event }) => !isLeftOut(event)) };
}

/** Returns a reducer that changes the chats after each event that affects them. */
function withChats(change: (chat: Chat, before: Chat | undefined, event: WireEvent) => Chat): Reducer {
  return (state, action) => {
    const next = reduce(state, action);
    if (action.type !== 'event' || next.chats === state.chats) return next;
    const { event } = action.envelope;
    const chats = Object.values(next.chats).map(
      (chat) => [chat.id, change(chat, state.chats[chat.id], event)] as const,
    );
    return { ...next, chats: Object.fromEntries(chats) };
  };
}

/** Returns a reducer that changes each event before applying it. */
function seeing(change: (event: WireEvent, state: State) => WireEvent): Reducer {
  return (state, action) => {
    if (action.type !== 'event') return reduce(state, action);
    const { envelope } = action;
    return reduce(state, { ...action, envelope: { ...envelope, event: change(envelope.event, state) } });
  };
}

/** Reducers with one fault each, keyed by the name of the fault. */
export const faultyReducers: Record<string, Reducer> = {
  'misses new messages': deafTo('NewMessage'),
  'misses edits': deafTo('MessageEdited'),
  'misses deletions of messages': deafTo('MessageDeleted'),
  'misses reactions': deafTo('ReactionsChanged'),
  'misses removals from a chat': deafTo('RemoveFromChat'),
  'misses new members': deafTo('AddToChat'),
  'misses deletions of chats': deafTo('ChatDeleted'),
  'misses changes of a chat': deafTo('ChatUpdated'),
  'misses changes of a member': deafTo('MemberUpdated'),
  'misses changes of a profile': deafTo('UserUpdated'),
  'misses notification levels': deafTo('NotificationLevelChanged'),
  'misses read markers': deafTo('ReadMarkerMoved'),
  'lets a late answer undo newer events': (state, action) =>
    reduce(
      state,
      without(action, () => true),
    ),
  'counts own messages as unread': withChats((chat, before, event) =>
    event.__typename === 'NewMessage' && event.message.chat.id === chat.id && before !== undefined
      ? { ...chat, unreadCount: chat.lastReadSeq > before.lastReadSeq ? chat.unreadCount + 1 : chat.unreadCount }
      : chat,
  ),
  'does not count mentions': seeing((event) =>
    event.__typename === 'NewMessage' ? { ...event, message: { ...event.message, mentions: [] } } : event,
  ),
  'counts events twice': (state, action) => {
    const once = reduce(state, action);
    if (action.type !== 'event') return once;
    const chats = Object.values(once.chats).map((chat) => [chat.id, { ...chat, countedAt: 0 }] as const);
    return reduce({ ...once, chats: Object.fromEntries(chats) }, action);
  },
  'does not order chats by activity': (state, action) => ({ ...reduce(state, action), chatIds: state.chatIds }),
  'keeps the newest message of a chat as it first was': withChats((chat, before) =>
    before?.lastMessage?.id === chat.lastMessage?.id ? { ...chat, lastMessage: before?.lastMessage ?? null } : chat,
  ),
  'adds reactions and never removes them': seeing((event, state) => {
    if (event.__typename !== 'ReactionsChanged' || event.added) return event;
    const { message } = event;
    const known = state.messages[message.chat.id]?.messages.find(({ id }) => id === message.id);
    return { ...event, message: { ...message, reactions: known?.reactions ?? message.reactions } };
  }),
  "takes everyone's reactions for its own": seeing((event, state) =>
    event.__typename === 'ReactionsChanged' ? { ...event, userId: state.viewer?.user.id ?? '' } : event,
  ),
};

/** Returns the state that a reducer produces from these actions. */
export function replayWith(reducer: Reducer, actions: readonly Action[]): State {
  return actions.reduce(reducer, nothing);
}
