import type { Connection } from './connection.ts';
import type { RunningOperation } from './operation.ts';
import type { EventSubscription } from './subscription.ts';

/**
 * The interval at which streams are checked (`sweep`), and the times after which each action is due, in ms. Tests
 * shorten them.
 */
export type StreamTimes = {
  sweep: number;
  heartbeat: number;
  stall: number;
  cursorRefresh: number;
  tokenCheck: number;
};

/**
 * If a stream has more unsent bytes than this, typing notices are dropped, because they would be useless by the time
 * they are sent.
 */
const maxBytesBeforeTyping = 16 * 1024;

/** How long a stream whose token is invalid waits for the event that explains why, in ms. */
const sessionEndMs = 1_000;

/** The maximum `#lateness`, which spreads the heartbeats of streams that were opened at the same time. */
const heartbeatSpread = 0.2;

/**
 * An open response and the operations that write to it: one operation in distinct connections mode, many in single
 * connection mode.
 */
export class OpenStream {
  readonly connection: Connection;
  readonly operations = new Map<string, RunningOperation>();
  /** The total number of results that the streams of this node have sent. */
  readonly tally: { results: number };
  readonly #maxBufferBytes: number;
  readonly #expiresAt: number | null;
  readonly #isTokenLive: (() => Promise<boolean>) | null;
  #tokenCheckedAt = performance.now();
  #lastFrameAt = performance.now();
  #takenQuietAt = 0;
  /**
   * How much longer than usual the interval between this stream's heartbeats is, as a fraction of the usual interval.
   */
  readonly #lateness = Math.random() * heartbeatSpread;

  /**
   * `expiresAt` is the time at which the stream treats the access token as expired, in ms; null for a stream that does
   * not expire.
   */
  constructor(options: {
    connection: Connection;
    tally: { results: number };
    maxBufferBytes: number;
    expiresAt: number | null;
    isTokenLive: (() => Promise<boolean>) | null;
  }) {
    this.connection = options.connection;
    this.tally = options.tally;
    this.#maxBufferBytes = options.maxBufferBytes;
    this.#expiresAt = options.expiresAt;
    this.#isTokenLive = options.isTokenLive;
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

  /** Sends frames that carry results of operations. */
  write(frames: Buffer): void {
    this.#lastFrameAt = performance.now();
    this.connection.write(frames);
  }

  /**
   * Adds a running operation. Closes the operation immediately if the client disconnected while it was being prepared.
   */
  run(operationId: string, operation: RunningOperation): void {
    if (this.isOpen && !operation.isDone) this.operations.set(operationId, operation);
    else operation.close();
  }

  /** Ends the response without `complete`, so that the client reconnects. */
  interrupt(): void {
    this.connection.end();
  }

  /** Closes all operations, because the client is gone. */
  closeOperations(): void {
    for (const operation of this.operations.values()) operation.close();
    this.operations.clear();
  }

  /**
   * Returns the live subscriptions if no result has been sent on this stream for `forMs`. Returns the subscriptions at
   * most once per `forMs`, so that a document whose execution hangs is not executed repeatedly.
   */
  takeQuiet(now: number, forMs: number): EventSubscription[] {
    if (now - Math.max(this.#lastFrameAt, this.#takenQuietAt) < forMs) return [];
    this.#takenQuietAt = now;
    return [...this.operations.values()].flatMap(({ subscription }) =>
      subscription?.isLive === true ? [subscription] : [],
    );
  }

  /**
   * Performs the actions that are due: cuts off a stalled socket (even if the stream has already ended), ends a stream
   * whose token has expired, and otherwise sends a heartbeat. Only the token's expiry uses the wall clock; `now` comes
   * from `performance.now()`.
   */
  lookAfter(now: number, times: StreamTimes): void {
    const { connection } = this;
    if (connection.stalledMs(now) >= times.stall) return connection.destroy();
    if (!connection.isOpen) return;
    if (this.#isTokenLive !== null && now - this.#tokenCheckedAt >= times.tokenCheck)
      void this.#checkToken(now, this.#isTokenLive);
    if (this.#expiresAt !== null && Date.now() >= this.#expiresAt) this.interrupt();
    else if (now - connection.lastWriteAt >= times.heartbeat * (1 + this.#lateness))
      connection.write(connection.encoder.heartbeat);
  }

  /**
   * Ends the stream if its token is no longer valid. The client then reconnects with the same token and is refused.
   */
  async #checkToken(now: number, isTokenLive: () => Promise<boolean>): Promise<void> {
    this.#tokenCheckedAt = now;
    // While the database is unavailable, it is unknown whether the token is valid, so the next check tries again.
    if (await isTokenLive().catch(() => true)) return;
    // The event that ended the session usually arrives soon. That event also ends the stream, and tells the client why.
    setTimeout(() => this.interrupt(), sessionEndMs).unref();
  }
}
