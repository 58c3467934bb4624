import {
  createContext,
  createElement,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type ReactElement,
  type ReactNode,
} from 'react';
import type { Client, FileLink } from './client.ts';
import { onOnline } from './online.ts';
import { unloaded, type Chat, type Connection, type Member, type MessageWindow } from './state.ts';
import type { Message, PendingMessage, Presence, State, User, Viewer } from './state.ts';

const Context = createContext<Client | null>(null);
const none: readonly never[] = [];

/**
 * Provides the client to the hooks below it, and starts the client. It does not stop the client, which outlives the
 * components that show it.
 */
export function ParleyProvider({ client, children }: { client: Client; children?: ReactNode }): ReactElement {
  useEffect(() => {
    void client.start();
    return onOnline(() => client.reconnect());
  }, [client]);
  return createElement(Context, { value: client }, children);
}

/** Returns the client that was passed to the provider. */
export function useClient(): Client {
  const client = useContext(Context);
  if (client === null) throw new Error('Put a ParleyProvider around the components that use parley.');
  return client;
}

/**
 * Returns a part of the state. The component is rendered again when that part changes, so select something that the
 * state contains instead of creating a new object or array.
 */
export function useParley<Part>(select: (state: State) => Part): Part {
  const client = useClient();
  const read = () => select(client.state);
  return useSyncExternalStore(client.subscribe, read, read);
}

/** Returns whether events are arriving; see `State.connection`. */
export function useConnection(): Connection {
  return useParley(({ connection }) => connection);
}

/** Returns the user who is signed in, or null if no user is signed in or the user is not loaded yet. */
export function useViewer(): Viewer | null {
  return useParley(({ viewer }) => viewer);
}

/** Returns the viewer's chats, newest activity first. */
export function useChats(): readonly Chat[] {
  const ids = useParley(({ chatIds }) => chatIds);
  const chats = useParley((state) => state.chats);
  return useMemo(() => ids.flatMap((id) => chats[id] ?? []), [ids, chats]);
}

/** Returns a chat, or undefined if it is not loaded yet or the viewer is not a member. */
export function useChat(chatId: string | undefined): Chat | undefined {
  return useParley(({ chats }) => (chatId === undefined ? undefined : chats[chatId]));
}

/** Returns a user, or undefined if the store does not know the user. */
export function useUser(userId: string | null | undefined): User | undefined {
  return useParley(({ users }) => (userId == null ? undefined : users[userId]));
}

/**
 * A message in the form in which a list shows it. It is either a message that the server has, or one of the viewer's
 * own messages that is waiting to be sent.
 */
export interface Item {
  /** Does not change when a pending message has been sent. */
  readonly key: string;
  /** Null for a deleted message. */
  readonly content: string | null;
  readonly sender: User | undefined;
  readonly message: Message | null;
  readonly pending: PendingMessage | null;
}

/** The loaded part of a chat's history, and how to load more. */
export type Messages = MessageWindow & {
  /** The messages, followed by the pending messages. */
  readonly items: readonly Item[];
  readonly isLoading: boolean;
  /** Why the last attempt to load failed, or null if it succeeded. */
  readonly error: unknown;
  /** Loads another page. Does nothing while a page is loading, or if there are no more messages. */
  readonly loadOlder: () => void;
  readonly loadNewer: () => void;
  /** Jumps to a message, or to the newest message if `seq` is omitted. */
  readonly jumpTo: (seq?: number) => void;
};

/** Returns the messages of a chat. Loads the newest page if nothing is loaded yet. */
export function useMessages(chatId: string | undefined): Messages {
  const client = useClient();
  const connection = useConnection();
  const window = useParley(({ messages }) => (chatId === undefined ? undefined : messages[chatId])) ?? unloaded;
  const hasChat = useChat(chatId) !== undefined;
  const [{ isLoading, error }, setStatus] = useState<{ isLoading: boolean; error: unknown }>({
    isLoading: false,
    error: null,
  });
  // The chat whose page is being loaded.
  const busy = useRef<string | null>(null);
  const load = useCallback(
    async (options: Parameters<Client['loadMessages']>[1]) => {
      if (chatId === undefined || busy.current === chatId) return;
      busy.current = chatId;
      setStatus({ isLoading: true, error: null });
      const failure = await client.loadMessages(chatId, options).then(
        () => null,
        (reason: unknown) => reason,
      );
      if (busy.current !== chatId) return;
      busy.current = null;
      setStatus({ isLoading: false, error: failure });
    },
    [client, chatId],
  );
  const { messages, hasOlder, hasNewer } = window;
  const isMissing = hasChat && messages.length === 0 && hasNewer;
  // Retries whenever the connection comes back.
  useEffect(() => {
    if (isMissing) void load({});
  }, [isMissing, load, connection]);
  const [first, last] = [messages[0]?.seq, messages.at(-1)?.seq];
  return {
    ...window,
    items: useItems(window),
    isLoading,
    error,
    loadOlder: () => void (hasOlder && first !== undefined && load({ before: first })),
    loadNewer: () => void (hasNewer && last !== undefined && load({ after: last })),
    jumpTo: (seq) => void load(seq === undefined ? {} : { around: seq }),
  };
}

function useItems({ messages, pending }: MessageWindow): readonly Item[] {
  const users = useParley((state) => state.users);
  const viewer = useViewer()?.user;
  // A message that has not changed keeps its `Item`, so that a memoised row is not rendered again.
  const made = useRef(new WeakMap<Message, Item>());
  return useMemo(() => {
    const sent = messages.map((message): Item => {
      const { clientMessageId, id, content, senderId } = message;
      const isOwn = senderId === viewer?.id;
      // Other users may have chosen the same clientMessageId.
      const key = isOwn ? (clientMessageId ?? id) : id;
      const sender = users[senderId ?? ''];
      const known = made.current.get(message);
      if (known?.key === key && known.sender === sender) return known;
      const item: Item = { key, content, sender, message, pending: null };
      made.current.set(message, item);
      return item;
    });
    const waiting = pending.map((each): Item => {
      return { key: each.clientMessageId, content: each.content, sender: viewer, message: null, pending: each };
    });
    return [...sent, ...waiting];
  }, [messages, pending, users, viewer]);
}

/** Returns the other users who are currently typing in a chat. */
export function useTyping(chatId: string | undefined): readonly User[] {
  const ids = useParley(({ typing }) => (chatId === undefined ? none : (typing[chatId] ?? none)));
  const users = useParley((state) => state.users);
  const viewerId = useViewer()?.user.id;
  return useMemo(() => ids.flatMap((id) => (id === viewerId ? [] : (users[id] ?? []))), [ids, users, viewerId]);
}

/**
 * Returns whether a user is online, or undefined if that is unknown. Presence is loaded for peers and for loaded
 * members, as far as the viewer may see it.
 */
export function usePresence(userId: string | undefined): Presence | undefined {
  return useParley(({ presence }) => (userId === undefined ? undefined : presence[userId]));
}

/** Returns the members of a chat, and loads them. The list is empty until they are loaded. */
export function useMembers(chatId: string | undefined): readonly (Member & { readonly user: User })[] {
  const client = useClient();
  const connection = useConnection();
  const hasChat = useChat(chatId) !== undefined;
  const members = useParley((state) => (chatId === undefined ? undefined : state.members[chatId]));
  const users = useParley((state) => state.users);
  const isMissing = hasChat && members === undefined;
  useEffect(() => {
    // If there is no network, this runs again when the connection comes back.
    if (isMissing && chatId !== undefined) client.loadMembers(chatId).catch(() => {});
  }, [client, chatId, isMissing, connection]);
  return useMemo(
    () =>
      Object.entries(members ?? {}).flatMap(([id, member]) => {
        const user = users[id];
        return user === undefined ? [] : [{ ...member, user }];
      }),
    [members, users],
  );
}

/** Returns the user's unsent text in a chat, and a function that changes it. The text survives a restart. */
export function useDraft(chatId: string): [string, (text: string) => void] {
  const client = useClient();
  const draft = useParley(({ drafts }) => drafts[chatId] ?? '');
  return [draft, useCallback((text) => client.setDraft(chatId, text), [client, chatId])];
}

/** Marks a chat as read while its newest message is loaded, the page is visible, and the connection is live. */
export function useReadMarker(chatId: string | undefined): void {
  const client = useClient();
  const isLive = useConnection() === 'live';
  const isVisible = useSyncExternalStore(onVisibility, readVisibility, () => false);
  const chat = useChat(chatId);
  const last = useParley(({ messages }) => (chatId === undefined ? undefined : messages[chatId]?.messages.at(-1)?.seq));
  const isUnread = last !== undefined && chat !== undefined && chat.lastSeq === last && chat.lastReadSeq < last;
  useEffect(() => {
    if (isLive && isVisible && isUnread && chatId !== undefined) client.markRead(chatId, last).catch(() => {});
  }, [client, chatId, isLive, isVisible, isUnread, last]);
}

/** Returns links to files, by file id. The map is empty until the links are loaded. Expired links are fetched again. */
export function useFileLinks(ids: readonly string[]): ReadonlyMap<string, FileLink> {
  const client = useClient();
  const isLive = useConnection() === 'live';
  // Links that another component has already loaded are used immediately, so that a picture that reappears does not
  // flicker.
  const [links, setLinks] = useState<ReadonlyMap<string, FileLink>>(() => client.knownFileLinks(ids));
  const key = ids.join();
  useEffect(() => {
    let isShown = true;
    const refresh = async () => {
      const found = await client.fileLinks(key.split(','));
      if (isShown) setLinks(found);
    };
    const tryTo = () => void (key === '' || refresh().catch(() => {}));
    tryTo();
    const timer = setInterval(tryTo, linkCheckMs);
    return () => {
      isShown = false;
      clearInterval(timer);
    };
  }, [client, key, isLive]);
  return links;
}

const linkCheckMs = 3_600_000;

/** Returns the name to show for a user. */
export function nameOf(user: User | null | undefined): string {
  return user?.displayName ?? user?.username ?? 'Deleted user';
}

/** Returns the title to show for a chat: the chat's name, the peer's name, or 'Group'. */
export function titleOf({ name, peer, type }: Chat): string {
  return name ?? (type === 'SINGLE' ? nameOf(peer) : 'Group');
}

type Page = { visibilityState: string } & Record<
  'addEventListener' | 'removeEventListener',
  (kind: 'visibilitychange', listener: () => void) => void
>;

/** React Native has no `document`. There, the app must unmount the components that it does not show. */
const { document: page }: { document?: Page } = globalThis as { document?: Page };

function onVisibility(listener: () => void): () => void {
  page?.addEventListener('visibilitychange', listener);
  return () => page?.removeEventListener('visibilitychange', listener);
}

function readVisibility(): boolean {
  return page === undefined || page.visibilityState === 'visible';
}
