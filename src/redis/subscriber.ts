import type { Redis } from 'ioredis';
import type { Subscription } from './channels.ts';
import type { RedisClients } from './client.ts';
import type { RedisHost } from './redis-url.ts';

/**
 * How often connections are checked, in ms, and after how many of these checks the cluster is asked whether a channel
 * has moved.
 */
const checks = { everyMs: 1_000, moves: 5 };
/**
 * How many times a channel may move while this node is subscribing to it. After that many moves, the next check tries
 * again.
 */
const maxMoves = 4;

/**
 * A channel that this node wants to subscribe to. `place` is the server on which the channel was last subscribed, or
 * will be.
 */
type Wanted = {
  channel: string;
  listeners: Set<(message: string) => void>;
  place: string | null;
  since: number | null;
  isPending: boolean;
};

/**
 * Subscribes to sharded channels. It has its own connections: a single connection for a single server, or one
 * connection for each server of a cluster that has a wanted channel. It learns from the servers' answers (MOVED) which
 * server has a channel, and it asks again every few seconds. Otherwise, a server that the rest of the cluster no longer
 * counts as a member would keep its subscribers without sending them anything.
 */
export class Subscriber {
  readonly #clients: RedisClients;
  readonly #onError: (error: unknown) => void;
  readonly #wanted = new Map<string, Wanted>();
  readonly #connections = new Map<string, Redis>();
  #timer: NodeJS.Timeout | null = null;
  #checkCount = 0;

  /** `onError` is called with refusals from Redis and with connection errors. */
  constructor(clients: RedisClients, onError: (error: unknown) => void) {
    this.#clients = clients;
    this.#onError = onError;
  }

  /** Whether any connection is ready. */
  get isConnected(): boolean {
    return [...this.#connections.values()].some(({ status }) => status === 'ready');
  }

  open(): void {
    this.#connect(this.#seed());
    this.#timer = setInterval(() => this.#check(), checks.everyMs).unref();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#wanted.clear();
    for (const connection of this.#connections.values()) connection.disconnect();
    this.#connections.clear();
  }

  subscribe(channel: string, onMessage: (message: string) => void): Subscription {
    let wanted = this.#wanted.get(channel);
    if (wanted === undefined) {
      wanted = { channel, listeners: new Set(), place: null, since: null, isPending: false };
      this.#wanted.set(channel, wanted);
      void this.#place(wanted);
    }
    const current = wanted;
    // Wraps the handler in a new function, so that two subscriptions with the same handler stay separate.
    const listener = (message: string) => onMessage(message);
    current.listeners.add(listener);
    return {
      get since() {
        return current.since;
      },
      close: () => {
        current.listeners.delete(listener);
        if (current.listeners.size === 0 && this.#wanted.get(channel) === current) this.#leave(current);
      },
    };
  }

  #leave(wanted: Wanted): void {
    this.#wanted.delete(wanted.channel);
    wanted.since = null;
    if (wanted.place === null) return;
    this.#connections.get(wanted.place)?.sunsubscribe(wanted.channel).catch(ignore);
  }

  /** Subscribes to a channel on the server that has it. Never rejects. */
  async #place(wanted: Wanted): Promise<void> {
    if (wanted.isPending) return;
    wanted.isPending = true;
    try {
      for (let moves = 0; moves <= maxMoves; moves += 1) {
        const place = this.#choose(wanted);
        const connection = place === null ? undefined : this.#connections.get(place);
        if (place === null || connection === undefined) return;
        wanted.place = place;
        if (await this.#subscribeAt(connection, wanted)) return;
        // If the connection is not ready yet, `#renew` subscribes once it is.
        if (!this.#isReady(wanted.place)) return;
      }
    } finally {
      wanted.isPending = false;
    }
  }

  /** Returns false if the channel has moved to another server. There may be no connection to that server yet. */
  async #subscribeAt(connection: Redis, wanted: Wanted): Promise<boolean> {
    try {
      await connection.ssubscribe(wanted.channel);
      // In the meantime, the channel may have been unsubscribed, or the connection may have been lost.
      if (this.#wanted.get(wanted.channel) !== wanted) connection.sunsubscribe(wanted.channel).catch(ignore);
      else if (connection.status === 'ready') wanted.since ??= performance.now();
      return true;
    } catch (error) {
      wanted.since = null;
      const to = movedTo(error, connection);
      if (to === null) {
        if (connection.status === 'ready') this.#onError(error);
        return true;
      }
      wanted.place = this.#connect(to);
      return false;
    }
  }

  /**
   * Returns the server to ask, which is the server that had the channel, or else any server of the cluster with a ready
   * connection.
   */
  #choose({ place }: Wanted): string | null {
    if (place !== null && this.#isReady(place)) return place;
    const ready = [...this.#connections.keys()].filter((each) => this.#isReady(each));
    return ready[Math.floor(Math.random() * ready.length)] ?? null;
  }

  #isReady(place: string): boolean {
    return this.#connections.get(place)?.status === 'ready';
  }

  #seed(): RedisHost | null {
    const { seeds } = this.#clients;
    return seeds?.[Math.floor(Math.random() * seeds.length)] ?? null;
  }

  /**
   * Connects to a server, unless there is already a connection to it, and returns the name that identifies the server
   * in this class.
   */
  #connect(host: RedisHost | null): string {
    const place = host === null ? '' : `${host.host}:${host.port}`;
    if (this.#connections.has(place)) return place;
    const connection = this.#clients.createSubscriber(host);
    this.#connections.set(place, connection);
    connection.on('smessage', (channel: string, message: string) => {
      for (const listener of this.#wanted.get(channel)?.listeners ?? []) listener(message);
    });
    connection.on('error', this.#onError);
    connection.on('ready', () => this.#renew(place));
    connection.on('close', () => this.#forget(place));
    // A server tells its subscribers that a channel has moved, but the library does not say which channel.
    connection.on('moved', () => {
      this.#forget(place);
      this.#renew(place);
    });
    connection.connect().catch(ignore);
    return place;
  }

  #forget(place: string): void {
    for (const wanted of this.#wanted.values()) if (wanted.place === place) wanted.since = null;
  }

  #renew(place: string): void {
    for (const wanted of this.#wanted.values())
      if (wanted.place === place || wanted.since === null) void this.#place(wanted);
  }

  /**
   * Reopens connections that do not answer, adds a connection if none works, drops useless connections, and subscribes
   * to channels whose subscription is missing.
   */
  #check(): void {
    this.#checkCount += 1;
    const mayHaveMoved = this.#clients.seeds !== null && this.#checkCount % checks.moves === 0;
    for (const connection of this.#connections.values())
      if (connection.status === 'ready') connection.ping().catch(() => connection.disconnect(true));
    if (this.#clients.seeds !== null && !this.isConnected) this.#connect(this.#seed());
    this.#dropUseless();
    for (const wanted of this.#wanted.values()) if (wanted.since === null || mayHaveMoved) void this.#place(wanted);
  }

  /**
   * Servers may leave a cluster, so a connection that is not ready is kept only while a channel is expected on its
   * server.
   */
  #dropUseless(): void {
    const used = new Set([...this.#wanted.values()].map(({ place }) => place));
    for (const [place, connection] of this.#connections) {
      if (connection.status === 'ready' || used.has(place) || this.#connections.size === 1) continue;
      connection.disconnect();
      this.#connections.delete(place);
    }
  }
}

/**
 * Returns the server named in an answer such as `MOVED 3999 127.0.0.1:6381`. If the answer has no host, the host of the
 * connection is meant.
 */
function movedTo(error: unknown, connection: Redis): RedisHost | null {
  const [, host, port] = /^MOVED \d+ (\S*):(\d+)/.exec((error as Error).message) ?? [];
  if (host === undefined || port === undefined) return null;
  return { host: host || (connection.options.host ?? ''), port: Number(port) };
}

function ignore(): void {
  // The connection reports its own errors, and the next check tries again.
}
