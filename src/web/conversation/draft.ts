import { useClient, useConnection, useParley } from 'parley-client/react';
import type { Message } from 'parley-client';
import {
  createContext,
  createElement,
  useContext,
  useEffect,
  useMemo,
  useState,
  useSyncExternalStore,
  type ReactNode,
} from 'react';
import { describeFailure } from '../failure.ts';
import { useNotice } from '../notice.tsx';
import { DraftStore, type Draft } from './draft-store.ts';

/** The draft of a chat, and the functions that change it until it is sent. */
export type DraftActions = Draft & {
  reply: (message: Message | null) => void;
  add: (files: readonly File[]) => void;
  remove: (key: number) => void;
  pause: (key: number, isPaused: boolean) => void;
  /** Discards the draft after it has been sent. */
  clear: () => void;
};

const Context = createContext<DraftStore | null>(null);
const maxFiles = 10;

/** Keeps the drafts while the user switches between chats. */
export function DraftsProvider({ children }: { children: ReactNode }): ReactNode {
  const client = useClient();
  const notify = useNotice();
  const [store] = useState(
    () => new DraftStore(client, (name, error) => notify(`${name}: ${describeFailure(error)}`, true)),
  );
  const isLive = useConnection() === 'live';
  const chats = useParley((state) => state.chats);
  useEffect(() => {
    // Nothing can be sent in a chat to which the user has lost access.
    if (isLive) store.keep((chatId) => chatId in chats);
  }, [store, isLive, chats]);
  useEffect(() => () => store.keep(() => false), [store]);
  return createElement(Context, { value: store }, children);
}

/** Returns a chat's draft without its text, and the functions that change the draft. */
export function useDraftActions(chatId: string): DraftActions {
  const store = useStore();
  const notify = useNotice();
  const draft = useDraftOf(chatId);
  // These functions stay the same when the draft changes, because the rows of the history receive them as props.
  const actions = useMemo(
    () => ({
      reply: (message: Message | null) => store.reply(chatId, message),
      add: (files: readonly File[]) => {
        const added = files.slice(0, maxFiles - store.of(chatId).files.length);
        if (added.length < files.length) notify(`A message can have at most ${maxFiles} files.`, true);
        store.add(chatId, added);
      },
      remove: (key: number) => store.remove(chatId, key),
      pause: (key: number, isPaused: boolean) => store.pause(chatId, key, isPaused),
      clear: () => store.clear(chatId),
    }),
    [store, chatId, notify],
  );
  return useMemo(() => ({ ...draft, ...actions }), [draft, actions]);
}

/** Returns the parts of a chat's draft other than its text. */
export function useDraftOf(chatId: string): Draft {
  const store = useStore();
  return useSyncExternalStore(store.subscribe, () => store.of(chatId));
}

function useStore(): DraftStore {
  const store = useContext(Context);
  if (store === null) throw new Error('This component must be inside a DraftsProvider.');
  return store;
}
