import { nothing, unloaded, type MessageWindow, type State } from './state.ts';
import type { KeyValueStore } from './key-value-store.ts';
import type { Store } from './store.ts';
import { withLock } from './tab.ts';

/**
 * Increase this number when a change makes the stored state unreadable. Clients then discard their stored state and
 * fetch it again.
 */
const version = 1;
/** The maximum number of messages that are stored per chat. */
const maxMessages = 100;
const delayMs = 500;

type Kept = { version: number; state: Partial<State>; windows: string[] };

/**
 * Saves the state, so that it survives when the app is closed. It writes the histories before the cursor. After a
 * crash, some events are therefore applied twice, which changes nothing, and no event is missed. Data that the user can
 * no longer see is deleted immediately. Only one of the tabs that share storage writes, because the histories of one
 * tab do not match the cursor of another.
 */
export class Keeper {
  readonly #store: Store;
  readonly #storage: KeyValueStore;
  readonly #lockName: string;
  #isWriter = false;
  #saved: State = nothing;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #saving: Promise<void> = Promise.resolve();
  #end: (() => void) | null = null;

  constructor({ store, storage, lockName }: { store: Store; storage: KeyValueStore; lockName: string }) {
    [this.#store, this.#storage, this.#lockName] = [store, storage, lockName];
  }

  /**
   * Reads the saved state into the store, and from then on saves changes. Resolves to true if there was a saved state.
   */
  async open(): Promise<boolean> {
    if (this.#end !== null) return false;
    const state = await this.#read().catch(() => null);
    if (state !== null) this.#store.dispatch({ type: 'restored', state });
    const end = this.#store.subscribe((before) => this.#note(before));
    const closed = new Promise<void>((resolve) => {
      this.#end = () => {
        end();
        resolve();
      };
    });
    void withLock(`${this.#lockName}keeper`, () => this.#writeUntil(closed));
    return state !== null;
  }

  /** Writes all unsaved changes, and stops. */
  async close(): Promise<void> {
    await this.flush();
    this.#end?.();
    this.#end = null;
  }

  /** Writes all changes, if this tab is the one that writes. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const write = () => this.#write();
    return (this.#saving = this.#saving.then(write, write));
  }

  /**
   * Stops without writing, because another tab has signed out or in. Deletes what this tab has saved for the previous
   * user.
   */
  async leave(): Promise<void> {
    if (this.#isWriter) await this.clear();
    this.#end?.();
    this.#end = null;
  }

  /** Deletes everything that was saved. */
  async clear(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#saving.catch(() => {});
    // Another tab may have written the stored histories.
    const kept = await this.#read().catch(() => null);
    for (const id of Object.keys({ ...kept?.messages, ...this.#saved.messages })) {
      await this.#storage.delete(windowKey(id));
    }
    await this.#storage.delete('state');
    this.#saved = nothing;
  }

  #note(before: State): void {
    const { chats, messages, viewer } = this.#store.state;
    if (viewer === null) return;
    const isLost = (id: string) => chats[id] === undefined || (before.messages[id] && !messages[id]?.messages.length);
    const hasLost = chats !== before.chats && Object.keys(before.chats).some(isLost);
    if (hasLost) void this.flush().catch(() => {});
    else this.#timer ??= setTimeout(() => void this.flush().catch(() => {}), delayMs);
  }

  /**
   * Makes this tab the one that writes, until `closed` resolves. This tab does not know what another tab has stored, so
   * it writes everything and deletes the rest.
   */
  async #writeUntil(closed: Promise<void>): Promise<void> {
    if (this.#end === null) return;
    const kept = await this.#read().catch(() => null);
    const messages = Object.fromEntries(Object.keys(kept?.messages ?? {}).map((id) => [id, unloaded]));
    this.#saved = { ...nothing, messages };
    this.#isWriter = true;
    void this.flush().catch(() => {});
    await closed;
    this.#isWriter = false;
  }

  async #write(): Promise<void> {
    const { state } = this.#store;
    const before = this.#saved;
    if (!this.#isWriter || state.viewer === null || state === before) return;
    const { viewer, chatIds, chats, users, members, drafts, sync, messages } = state;
    const kept = Object.entries(messages).filter(([, window]) => window.messages.length > 0);
    const ids = kept.map(([id]) => id);
    for (const id of Object.keys(before.messages)) if (!ids.includes(id)) await this.#storage.delete(windowKey(id));
    for (const [id, window] of kept) {
      if (before.messages[id]?.messages !== window.messages) {
        await this.#storage.set(windowKey(id), JSON.stringify(shorten(window)));
      }
    }
    const rest: Kept = { version, state: { viewer, chatIds, chats, users, members, drafts, sync }, windows: ids };
    await this.#storage.set('state', JSON.stringify(rest));
    this.#saved = state;
  }

  async #read(): Promise<State | null> {
    const text = await this.#storage.get('state');
    if (text === undefined) return null;
    const kept: Kept = JSON.parse(text);
    if (kept.version !== version) return null;
    const messages: Record<string, MessageWindow> = {};
    for (const id of kept.windows) {
      const window = await this.#storage.get(windowKey(id));
      if (window !== undefined) messages[id] = JSON.parse(window);
    }
    return { ...nothing, ...kept.state, messages };
  }
}

function windowKey(chatId: string): string {
  return `messages:${chatId}`;
}

function shorten({ messages, hasOlder, hasNewer }: MessageWindow): MessageWindow {
  const isLong = messages.length > maxMessages;
  return { messages: messages.slice(-maxMessages), pending: [], hasOlder: hasOlder || isLong, hasNewer };
}
