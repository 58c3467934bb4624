import type { ClientOptions } from './client-option.ts';
import type { FileLinks } from './file-link.ts';
import type { Keeper } from './keeper.ts';
import { Live, type LiveOptions } from './live.ts';
import { Outbox, type Refused } from './outbox.ts';
import type { Server } from './request.ts';
import { Session } from './session.ts';
import type { Connection } from './state.ts';
import { openStorage } from './storage.ts';
import { Store } from './store.ts';
import { Sync } from './sync.ts';
import type { SharedLive } from './tabs.ts';
import type { Envelope } from './wire.ts';

/** The parts of a client, which are started and stopped together. */
export class Engine {
  readonly server: Server;
  readonly store = new Store();
  readonly session: Session;
  readonly sync: Sync;
  readonly outbox: Outbox;
  /** The links that this user has requested. */
  links: FileLinks | null = null;
  readonly #options: ClientOptions;
  readonly #openKeeper: () => Promise<Keeper>;
  readonly #lockName: string;
  readonly #liveOptions: LiveOptions;
  #live: Live | SharedLive;
  #tabs: SharedLive | null = null;
  #keeper: Promise<Keeper> | null = null;
  #sharing: Promise<void> | null = null;
  #stopping: Promise<void> | null = null;
  #isStarted = false;
  #isCaughtUp = false;

  constructor(options: ClientOptions) {
    this.#options = options;
    const url = options.url.replace(/\/+$/, '');
    const fetch = options.fetch ?? ((...request: Parameters<typeof globalThis.fetch>) => globalThis.fetch(...request));
    const { persistence = 'memory', getForeignToken } = options;
    const { store } = this;
    const prefix = `parley:${url}:`;
    const storage = openStorage(persistence, prefix);
    // Only tabs that share their storage may share locks.
    const lockName = (this.#lockName = persistence === 'indexeddb' ? prefix : `${prefix}${Math.random()}:`);
    const server = (this.server = { url, fetch });
    const onEnd = (isElsewhere: boolean) => void (isElsewhere ? this.#rejoin() : this.forget());
    const session = (this.session = new Session({ server, storage, lockName, getForeignToken, onEnd }));
    this.sync = new Sync(store, session);
    this.#openKeeper = async () => new (await import('./keeper.ts')).Keeper({ store, storage, lockName });
    const onRefused = (refused: Refused) => options.onRefused?.(refused);
    this.outbox = new Outbox({ store, session, storage, lockName, onRefused });
    this.#liveOptions = {
      server,
      session,
      prepare: () => this.sync.prepare(),
      cursor: () => store.state.sync.cursor,
      onEnvelope: (envelope) => this.#take(envelope),
      onConnection: (connection) => {
        this.#isCaughtUp = false;
        store.dispatch({ type: 'connection', connection });
      },
      onLoss: () => store.dispatch({ type: 'lost' }),
    };
    this.#live = new Live(this.#liveOptions);
    store.subscribe((before) => {
      if (before.sync.isLost && !store.state.sync.isLost && this.#isCaughtUp) this.#showProgress();
    });
  }

  /**
   * Connects and stays in sync until `stop`. Resolves once the client is live or signed out, or when the stored state
   * is loaded.
   */
  async start(): Promise<void> {
    if (this.#isStarted) return;
    this.#isStarted = true;
    await this.#stopping;
    const connect = (connection: Connection) => this.store.dispatch({ type: 'connection', connection });
    connect('connecting');
    await (this.#sharing = this.#share());
    if (!(await this.session.restore())) return connect('signed-out');
    const isKept = await (await this.#kept())?.open();
    if (this.#isStarted) await this.#begin(isKept);
  }

  /** Disconnects, and saves the state. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    this.#live.stop();
    this.#tabs?.close();
    this.sync.close();
    this.outbox.close();
    if (this.store.state.viewer !== null) this.store.dispatch({ type: 'connection', connection: 'offline' });
    await (this.#stopping = (async () => (await this.#keeper)?.close())());
  }

  /** Connects and sends immediately, without waiting for the next attempt. */
  reconnect(): void {
    this.#live.wake();
    this.outbox.wake();
  }

  /** Shares one stream, and the information about who is signed in, with the browser's other tabs. */
  async #share(): Promise<void> {
    if (this.#options.persistence !== 'indexeddb' || !('BroadcastChannel' in globalThis)) return;
    const { SharedLive } = await import('./tabs.ts');
    const onSession = () => void this.#rejoin();
    this.#live = this.#tabs = new SharedLive(this.#lockName, this.#liveOptions, onSession);
  }

  /** Returns the object that saves the state, or null if the state is kept only in memory. */
  async #kept(): Promise<Keeper | null> {
    const { persistence = 'memory' } = this.#options;
    return persistence === 'memory' ? null : (this.#keeper ??= this.#openKeeper());
  }

  /** Resolves immediately if there is stored state, and otherwise when the client is live, signed out or stopped. */
  async #begin(isKept = false): Promise<void> {
    if (!this.#isStarted) return;
    await this.#sharing;
    await (await this.#kept())?.open();
    const isReady = () => {
      const { connection, sync } = this.store.state;
      return connection === 'signed-out' || (connection === 'live' && !sync.isLost);
    };
    this.sync.open();
    this.#live.start();
    void this.outbox.open();
    if (isKept || isReady()) return;
    await new Promise<void>((resolve) => {
      const end = this.store.subscribe(() => {
        if (!isReady() && this.#isStarted) return;
        end();
        resolve();
      });
    });
  }

  #take(envelope: Envelope): void {
    this.sync.apply(envelope);
    if (envelope.event.__typename === 'CaughtUp') {
      this.#isCaughtUp = true;
      this.outbox.caughtUp();
    }
    this.#showProgress();
    this.#options.onEvent?.(envelope);
  }

  #showProgress(): void {
    const connection = this.#isCaughtUp && !this.store.state.sync.isLost ? 'live' : 'behind';
    this.store.dispatch({ type: 'connection', connection });
  }

  /** Starts over for the user who has just signed in. */
  async enter(): Promise<void> {
    await this.#clear();
    this.#tabs?.announce();
    await this.#begin();
  }

  /** Discards the session and all state. */
  async forget(): Promise<void> {
    await this.session.forget();
    await this.#clear();
    this.#tabs?.announce();
  }

  /** Discards everything except the session. */
  async #clear(): Promise<void> {
    this.#drop();
    await this.outbox.clear();
    await (await this.#kept())?.clear();
  }

  #drop(): void {
    this.#live.stop();
    this.sync.close({ forget: true });
    this.links = null;
    this.store.dispatch({ type: 'signedOut' });
  }

  /** Called when another tab has signed out or in. Starts over with the state that the other tab has stored. */
  async #rejoin(): Promise<void> {
    this.session.leave();
    this.#drop();
    this.outbox.leave();
    await (await this.#keeper)?.leave();
    if (!this.#isStarted) return;
    this.#tabs?.close();
    this.#isStarted = false;
    await this.start();
  }
}
