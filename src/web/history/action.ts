import { createContext, useContext } from 'react';
import type { Message } from 'parley-client';

/** The actions that the message rows of a chat offer. */
export type MessageActions = {
  /** What the viewer may do in the chat; see `ChatAction` in the schema. */
  rights: ReadonlySet<string>;
  /** Moves the focus to the field in which messages are written. */
  write: () => void;
  reply: (message: Message) => void;
  /** Starts editing a message, or stops if it is null. */
  edit: (message: Message | null) => void;
  react: (message: Message, emoji: string) => void;
  remove: (message: Message) => void;
  report: (message: Message) => void;
  pin: (message: { readonly id: string }, isPinned: boolean) => void;
  markUnread: (message: Message) => void;
  copy: (text: string) => void;
};

const Context = createContext<MessageActions | null>(null);

/** Provides a chat's message actions to the components inside it. */
export const MessageActionsProvider = Context;

/** Returns the actions for messages in the chat that contains this component. */
export function useMessageActions(): MessageActions {
  const actions = useContext(Context);
  if (actions === null) throw new Error('This component is outside a chat.');
  return actions;
}
