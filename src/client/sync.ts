import {
  aroundDocument,
  chatNodesDocument,
  chatsDocument,
  chatsPerQuery,
  cursorDocument,
  membersDocument,
  newerDocument,
  newestDocument,
  olderDocument,
  presenceDocument,
} from './document.ts';
import { ParleyError, Unreachable } from './error.ts';
import { isOvertaken, type Action, type Answered, type WireViewer } from './reducer.ts';
import type { Session } from './session.ts';
import { positionOf, type Presence } from './state.ts';
import type { Store } from './store.ts';
import { backOff } from './timer.ts';
import type { PageKind } from './window.ts';
import type { Envelope, WireChat, WireMember, WirePage } from './wire.ts';

type Position = { eventCursor: string };
type Connection<Node> = { edges: { node: Node }[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } };

/** How long after the last notice a user is shown as typing, as the API specifies. */
const typingMs = 5_000;
const isNotice = new Set(['Typing', 'PresenceChanged', 'CaughtUp', 'Reset']);
const pageDocuments = { newest: newestDocument, older: olderDocument, newer: newerDocument, around: aroundDocument };

/**
 * Keeps the store in sync with the server. It applies events, and fetches the data that events do not contain. The
 * answer to a query may be older than events that arrived before the answer, so these events are applied again on top
 * of it.
 */
export class Sync {
  readonly #store: Store;
  readonly #session: Session;
  /** The events that were applied while queries were in progress. */
  #recent: Envelope[] = [];
  #asking = 0;
  #loading: Promise<void> | null = null;
  #isRefreshing = false;
  #isOpen = false;
  #failures = 0;
  readonly #typing = new Map<string, ReturnType<typeof setTimeout>>();
  /** The chats whose history or members the app has asked for. They are loaded again after all data has been lost. */
  readonly #opened = new Set<string>();
  readonly #listed = new Set<string>();
  /** The users whose presence changed while it was being fetched. */
  readonly #changed = new Set<string>();

  constructor(store: Store, session: Session) {
    this.#store = store;
    this.#session = session;
  }

  /** Applies an event from the stream. */
  apply(envelope: Envelope): void {
    const { event } = envelope;
    if (this.#asking > 0 && !isNotice.has(event.__typename)) this.#recent.push(envelope);
    if (event.__typename === 'PresenceChanged') this.#changed.add(event.userId);
    this.#store.dispatch({ type: 'event', envelope });
    if (event.__typename === 'Typing') this.#endTyping(event.chatId, event.userId);
    if (event.__typename === 'CaughtUp') void this.#loadPresence();
    if (event.__typename === 'Reset') {
      this.#recent = [];
      void this.#recover(0);
    }
    this.#refreshSoon();
  }

  /** Fetches the chats if necessary. Resolves once all chats have been loaded. */
  async prepare(): Promise<void> {
    const { sync } = this.#store.state;
    if (sync.cursor !== null && !sync.isLost) return;
    await (this.#loading ??= this.#during(() => this.#loadChats()).finally(() => (this.#loading = null)));
  }

  /** Fetches everything again, and retries until it succeeds. */
  async #recover(failures: number): Promise<void> {
    try {
      await this.prepare();
    } catch {
      setTimeout(() => this.#isOpen && void this.#recover(failures + 1), backOff(failures));
    }
  }

  /** Loads one page of a chat's history. Throws a ParleyError with NOT_FOUND if the viewer has no such chat. */
  async loadPage(chatId: string, kind: PageKind, seq?: number): Promise<void> {
    this.#opened.add(chatId);
    await this.#inChat(chatId, async () => {
      const variables = { id: chatId, ...(seq !== undefined && { seq }) };
      type Data = { viewer: Position; chat: { page: WirePage } | null };
      const { viewer, chat } = await this.#session.query<Data>(pageDocuments[kind], variables);
      if (chat === null) throw notFound();
      return (answered) => ({ type: 'page', chatId, kind, page: chat.page, ...answered(viewer.eventCursor) });
    });
  }

  /** Loads all members of a chat. */
  async loadMembers(chatId: string): Promise<void> {
    this.#listed.add(chatId);
    await this.#inChat(chatId, async () => {
      const members: WireMember[] = [];
      let cursor: string | null = null;
      for (let after: string | null = null; ;) {
        type Data = { viewer: Position; chat: { members: Connection<WireMember> } | null };
        const data: Data = await this.#session.query<Data>(membersDocument, { id: chatId, after });
        if (data.chat === null) throw notFound();
        cursor ??= data.viewer.eventCursor;
        const { edges, pageInfo } = data.chat.members;
        members.push(...edges.map(({ node }) => node));
        after = pageInfo.endCursor;
        if (!pageInfo.hasNextPage) break;
      }
      const from = cursor;
      return (answered) => ({ type: 'members', chatId, members, ...answered(from) });
    });
    void this.#loadPresence();
  }

  /** Fetches these chats immediately. */
  async fetchChats(ids: readonly string[]): Promise<void> {
    await this.#during(async () => {
      type Data = { viewer: Position; nodes: (WireChat | null)[] };
      const data = await this.#session.query<Data>(chatNodesDocument, { ids });
      const through = await this.#head();
      const chats = data.nodes.filter((chat): chat is WireChat => chat !== null && chat.viewerMembership !== null);
      const missing = ids.filter((id) => !chats.some((chat) => chat.id === id));
      const answered = this.#answered(data.viewer.eventCursor);
      this.#store.dispatch({ type: 'refreshed', chats, missing, through, ...answered });
    });
  }

  /** Starts fetching missing data. */
  open(): void {
    this.#isOpen = true;
  }

  /**
   * Stops fetching data. With `forget`, also forgets which chats the app has opened, because the session has ended.
   */
  close({ forget = false } = {}): void {
    this.#isOpen = false;
    for (const timer of this.#typing.values()) clearTimeout(timer);
    this.#typing.clear();
    if (!forget) return;
    this.#opened.clear();
    this.#listed.clear();
  }

  /** Fetches missing or uncertain data until there is none left. */
  #refreshSoon(): void {
    const ids = Object.keys(this.#store.state.sync.stale).slice(0, chatsPerQuery);
    if (this.#isRefreshing || ids.length === 0 || !this.#isOpen) return;
    this.#isRefreshing = true;
    const refresh = async () => {
      try {
        await this.fetchChats(Object.keys(this.#store.state.sync.stale).slice(0, chatsPerQuery));
        this.#failures = Math.max(0, this.#failures - 1);
        await this.#reload();
      } catch {
        this.#failures = Math.min(this.#failures + 2, 8);
      }
      this.#isRefreshing = false;
      this.#refreshSoon();
    };
    // Waits briefly, so that one query is enough for a burst of events.
    setTimeout(() => void refresh(), backOff(this.#failures, 60));
  }

  /** Reloads data that the app has opened and that an event has made unreliable. */
  async #reload(): Promise<void> {
    const { chats, messages, members } = this.#store.state;
    for (const id of this.#opened) {
      const window = messages[id];
      const isEmpty = window === undefined || (window.messages.length === 0 && window.hasNewer);
      if (chats[id] !== undefined && isEmpty) await this.loadPage(id, 'newest');
    }
    for (const id of this.#listed) {
      if (chats[id] !== undefined && members[id] === undefined) await this.loadMembers(id);
    }
  }

  async #loadChats(): Promise<void> {
    let after: string | null = null;
    do {
      type Data = { viewer: Position & WireViewer & { chats: Connection<WireChat> } };
      const data: Data = await this.#session.query<Data>(chatsDocument, { after });
      const { viewer } = data;
      const { edges, pageInfo } = viewer.chats;
      const chats = edges.map(({ node }) => node);
      const answered = this.#answered(viewer.eventCursor);
      const { id, user } = viewer;
      const isFirst = after === null;
      this.#store.dispatch({ type: 'chats', isFirst, viewer: { id, user }, chats, through: null, ...answered });
      after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
    } while (after !== null);
    this.#store.dispatch({ type: 'settled', through: await this.#head() });
    void this.#reload().catch(() => {});
    this.#refreshSoon();
  }

  async #head(): Promise<string> {
    return (await this.#session.query<{ viewer: Position }>(cursorDocument)).viewer.eventCursor;
  }

  async #loadPresence(): Promise<void> {
    const { chats, chatIds, members } = this.#store.state;
    const peers = chatIds.map((id) => chats[id]?.peer?.id);
    const listed = Object.values(members).flatMap((byUser) => Object.keys(byUser));
    const ids = [...new Set([...peers, ...listed])].filter((id) => id !== undefined).slice(0, 100);
    if (ids.length === 0) return;
    this.#changed.clear();
    type Data = { nodes: ({ id: string; presence: Presence | null } | null)[] };
    const data = await this.#session.query<Data>(presenceDocument, { ids }).catch(() => null);
    const presence: Record<string, Presence | null> = {};
    // A change that arrived in the meantime is at least as recent as the answer.
    for (const node of data?.nodes ?? []) if (node && !this.#changed.has(node.id)) presence[node.id] = node.presence;
    this.#store.dispatch({ type: 'presence', presence });
  }

  #endTyping(chatId: string, userId: string): void {
    const key = `${chatId} ${userId}`;
    clearTimeout(this.#typing.get(key));
    const end = () => this.#store.dispatch({ type: 'typingEnded', chatId, userId });
    this.#typing.set(key, setTimeout(end, typingMs));
  }

  /**
   * Fetches a part of a chat. Tries up to five times if events change the viewer's access to the chat in the meantime.
   */
  async #inChat(
    chatId: string,
    ask: () => Promise<(answered: (cursor: string) => Answered) => Extract<Action, Answered>>,
  ): Promise<void> {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const isDone = await this.#during(async () => {
        const action = (await ask())((cursor) => this.#answered(cursor));
        const isLate = isOvertaken(this.#store.state, chatId, action);
        if (!isLate) this.#store.dispatch(action);
        return !isLate;
      });
      if (isDone) return;
      if (this.#store.state.chats[chatId] === undefined) await this.fetchChats([chatId]);
      if (this.#store.state.chats[chatId] === undefined) throw notFound();
    }
    throw new Unreachable('The chat keeps changing.');
  }

  /** Returns the cursor of an answer, and the later events that were applied while the answer was on its way. */
  #answered(cursor: string): Answered {
    const position = positionOf(cursor);
    return { cursor, replays: this.#recent.filter((envelope) => positionOf(envelope.cursor) > position) };
  }

  async #during<Value>(work: () => Promise<Value>): Promise<Value> {
    this.#asking += 1;
    try {
      return await work();
    } finally {
      this.#asking -= 1;
      if (this.#asking === 0) this.#recent = [];
    }
  }
}

function notFound(): ParleyError {
  return new ParleyError('NOT_FOUND', 'There is no such chat.');
}
