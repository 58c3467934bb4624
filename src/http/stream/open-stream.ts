import type { Asker } from '../../core/asker.ts';
import type { Connection } from './connection.ts';
import type { RunningOperation } from './operation.ts';
import type { EventSubscription } from './subscription.ts';

/** How often streams are looked after, and when something is due, in ms. Tests shorten them. */
export type StreamTimes = { sweep: number; heartbeat: number; stall: number; cursorRefresh: number };

/** Typing is dropped for whoever has this much waiting: it is worth nothing later. */
const maxBytesBeforeTyping = 16 * 1024;

/** Heartbeats of streams that began together don't stay together. */
const heartbeatSpread = 0.2;

/** One open response and the operations that write to it: one in distinct connections mode, many in single. */
export class OpenStream {
  readonly asker: Asker | null;
  readonly connection: Connection;
  readonly operations = new Map<string, RunningOperation>();
  readonly #maxBufferBytes: number;
  readonly #expiresAt: number | null;
  #lastFrameAt = performance.now();
  /** By how much its heartbeats are later than others', as a share. */
  readonly #lateness = Math.random() * heartbeatSpread;

  /** `expiresAt`: when the access token is to be counted as run out, in ms; null for a stream that has none. */
  constructor(options: {
    connection: Connection;
    asker: Asker | null;
    maxBufferBytes: number;
    expiresAt: number | null;
  }) {
    this.connection = options.connection;
    this.asker = options.asker;
    this.#maxBufferBytes = options.maxBufferBytes;
    this.#expiresAt = options.expiresAt;
  }

  get isOpen(): boolean {
    return this.connection.isOpen;
  }

  get isCongested(): boolean {
    return this.#maxBufferBytes > 0 && this.connection.unsentBytes > this.#maxBufferBytes;
  }

  get isReadyForTyping(): boolean {
    return this.connection.unsentBytes <= maxBytesBeforeTyping;
  }

  /** Sends frames that stand for events. */
  write(frames: Buffer): void {
    this.#lastFrameAt = performance.now();
    this.connection.write(frames);
  }

  /** Starts an operation's life here; it is closed at once when the client has gone while it was prepared. */
  run(operationId: string, operation: RunningOperation): void {
    if (this.isOpen && !operation.isDone) this.operations.set(operationId, operation);
    else operation.close();
  }

  /** Ends the response without `complete`: the client is to come back. */
  interrupt(): void {
    this.connection.end();
  }

  /** The client is gone: so are its operations. */
  closeOperations(): void {
    for (const operation of this.operations.values()) operation.close();
    this.operations.clear();
  }

  /** The live subscriptions, if nothing has been said here since that time (ms of `performance.now()`). */
  *quietSubscriptions(since: number): Iterable<EventSubscription> {
    if (this.#lastFrameAt > since) return;
    for (const { subscription } of this.operations.values()) if (subscription?.isLive === true) yield subscription;
  }

  /**
   * Does what is due: cuts off a socket that takes nothing (also where it has its end yet to take), ends a stream whose
   * token has run out, keeps the rest alive. Only tokens go by the clock on the wall; `now` is of `performance.now()`.
   */
  lookAfter(now: number, times: StreamTimes): void {
    const { connection } = this;
    if (connection.stalledMs(now) >= times.stall) return connection.destroy();
    if (!connection.isOpen) return;
    if (this.#expiresAt !== null && Date.now() >= this.#expiresAt) this.interrupt();
    else if (now - connection.lastWriteAt >= times.heartbeat * (1 + this.#lateness))
      connection.write(connection.encoder.heartbeat);
  }
}
