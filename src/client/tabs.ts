import { Live, type LiveOptions } from './live.ts';
import { positionOf, type Connection } from './state.ts';
import { withLock } from './tab.ts';
import type { Envelope } from './wire.ts';

/**
 * A message that one tab sends to the others. `before` is the cursor that the tab with the stream had just before the
 * event, or its current cursor if there is no event. It tells the other tabs whether they have missed anything.
 */
type Notice =
  | { kind: 'event'; before: string | null; envelope: Envelope }
  | { kind: 'alive'; before: string | null }
  | { kind: 'connection'; connection: Connection }
  | { kind: 'ask' }
  | { kind: 'wake' }
  | { kind: 'session' };

/** The parts of a BroadcastChannel that this file uses. */
type Channel = {
  postMessage: (notice: Notice) => void;
  addEventListener: (kind: 'message', listener: (message: { data: Notice }) => void) => void;
  close: () => void;
};

const aliveMs = 10_000;
/**
 * If the tab with the stream, which may be frozen, is silent for this many ms, each of the other tabs opens its own
 * stream.
 */
const silenceMs = 25_000;
const tickMs = 2_500;

/**
 * Shares one stream among all tabs of a browser. Each tab first catches up on its own. From then on, the tab that holds
 * the lock passes on the events from its stream, and the other tabs close their streams. A tab that misses something
 * catches up on its own. When the tab with the stream is closed, another tab takes over, starting after the last event
 * that it received itself. The messages between the tabs therefore affect only the number of streams, and nothing else
 * depends on them.
 */
export class SharedLive {
  readonly #options: LiveOptions;
  readonly #name: string;
  readonly #onSession: () => void;
  readonly #own: Live;
  readonly #channel: Channel;
  readonly #timer: ReturnType<typeof setInterval>;
  #isClosed = false;
  #isLeader = false;
  #isFollowing = false;
  #isCaughtUp = false;
  #heardAt = 0;
  #saidAt = 0;
  #release: (() => void) | null = null;

  constructor(name: string, options: LiveOptions, onSession: () => void) {
    [this.#name, this.#options, this.#onSession] = [name, options, onSession];
    this.#own = new Live({
      ...options,
      onEnvelope: (envelope) => this.#takeOwn(envelope),
      onConnection: (connection) => {
        this.#isCaughtUp = false;
        options.onConnection(connection);
        if (this.#isLeader) this.#say({ kind: 'connection', connection });
      },
    });
    const Broadcast = Reflect.get(globalThis, 'BroadcastChannel') as new (channelName: string) => Channel;
    this.#channel = new Broadcast(name);
    this.#channel.addEventListener('message', ({ data }) => this.#hear(data));
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  start(): void {
    if (this.#release !== null) return;
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    this.#release = release;
    this.#own.start();
    void withLock(`${this.#name}live`, async () => {
      if (this.#release !== release) return;
      this.#isLeader = true;
      this.#isFollowing = false;
      this.#own.start();
      this.#say({ kind: 'alive', before: this.#options.cursor() });
      await released;
    });
  }

  stop(): void {
    this.#release?.();
    this.#release = null;
    this.#isLeader = this.#isFollowing = this.#isCaughtUp = false;
    this.#own.stop();
  }

  wake(): void {
    if (this.#isFollowing) this.#say({ kind: 'wake' });
    else this.#own.wake();
  }

  /** Tells the other tabs that another user, or no user, is signed in now. */
  announce(): void {
    this.#say({ kind: 'session' });
  }

  /** Stops for good. */
  close(): void {
    this.stop();
    clearInterval(this.#timer);
    this.#isClosed = true;
    this.#channel.close();
  }

  #takeOwn(envelope: Envelope): void {
    const before = this.#options.cursor();
    this.#options.onEnvelope(envelope);
    if (envelope.event.__typename === 'CaughtUp') this.#isCaughtUp = true;
    if (this.#isLeader) this.#say({ kind: 'event', before, envelope });
    else if (this.#isCaughtUp) this.#say({ kind: 'ask' });
  }

  #hear(notice: Notice): void {
    if (this.#isClosed) return;
    if (notice.kind === 'session') this.#onSession();
    else if (this.#release === null) return;
    else if (this.#isLeader) this.#answer(notice);
    else this.#follow(notice);
  }

  #answer({ kind }: Notice): void {
    if (kind === 'wake') this.#own.wake();
    if (kind === 'ask' && this.#isCaughtUp) this.#say({ kind: 'alive', before: this.#options.cursor() });
  }

  #follow(notice: Notice): void {
    if (notice.kind === 'connection' && this.#isFollowing) this.#options.onConnection(notice.connection);
    if (notice.kind !== 'event' && notice.kind !== 'alive') return;
    this.#heardAt = Date.now();
    const isReset = notice.kind === 'event' && notice.envelope.event.__typename === 'Reset';
    if (!this.#hasAll(notice.before) && !isReset) return this.#catchUp();
    if (!this.#isFollowing) {
      if (!this.#isCaughtUp) return;
      this.#isFollowing = true;
      this.#own.stop();
    }
    if (notice.kind === 'event') this.#takeShared(notice.envelope);
  }

  #takeShared(envelope: Envelope): void {
    const isOld = this.#hasAll(envelope.cursor);
    if (!isOld || notices.has(envelope.event.__typename)) this.#options.onEnvelope(envelope);
  }

  /** Returns whether everything up to this cursor has arrived in this tab. */
  #hasAll(cursor: string | null): boolean {
    const own = this.#options.cursor();
    const isSameLog = own?.split('.')[0] === cursor?.split('.')[0];
    return isSameLog && positionOf(cursor) <= positionOf(own);
  }

  /** Uses this tab's own stream until the tab has received everything that it missed. */
  #catchUp(): void {
    if (!this.#isFollowing) return;
    this.#isFollowing = this.#isCaughtUp = false;
    this.#own.start();
  }

  #tick(): void {
    const now = Date.now();
    if (this.#isFollowing && now - this.#heardAt > silenceMs) this.#catchUp();
    if (this.#isLeader && this.#isCaughtUp && now - this.#saidAt > aliveMs) {
      this.#say({ kind: 'alive', before: this.#options.cursor() });
    }
  }

  #say(notice: Notice): void {
    if (this.#isClosed) return;
    this.#saidAt = Date.now();
    this.#channel.postMessage(notice);
  }
}

/** These events are not part of the log, so they have no positions. */
const notices = new Set(['Typing', 'PresenceChanged', 'CaughtUp', 'Reset']);
