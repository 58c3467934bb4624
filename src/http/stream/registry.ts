import type { IncomingMessage, ServerResponse } from 'node:http';
import { callerKey, hasUser, type Caller } from '../../core/asker.ts';
import type { Receiver } from '../../live/delivery.ts';
import type { SharedSubscription } from '../../live/shared-subscription.ts';
import { addressOf } from '../address.ts';
import { Connection, WriteQueue } from './connection.ts';
import type { Framing } from './framing.ts';
import { OpenStream, type StreamTimes } from './open-stream.ts';
import { Quota } from './quota.ts';
import { SilentPeers } from './silent-peer.ts';

/**
 * Streams whose tokens expire at the same time (for example because all clients reconnected after a restart) end at
 * different moments, spread over this time before the expiry.
 */
const maxExpirySpreadMs = 30_000;
/** On shutdown, streams end one after the other, at most 2 ms apart on average and all within about 2 s. */
const drainSpreadMs = { each: 2, most: 2_000 };

/** The options of the stream registry. */
export type RegistryOptions = {
  perSession: number;
  perAddress: number;
  maxBufferBytes: number;
  trustedProxies: number;
  times: StreamTimes;
  /**
   * The last event that every live stream has received; null while this node does not know whether there are later
   * events.
   */
  position: () => bigint | null;
};

/**
 * The properties of a new stream that `open` needs to know. `isTokenLive` returns whether the stream token with which
 * the stream was opened is still valid. It is null for a stream that ends when the asker's access token expires.
 */
export type Opening = {
  request: IncomingMessage;
  response: ServerResponse;
  framing: Framing;
  asker: Caller | null;
  isTokenLive: (() => Promise<boolean>) | null;
  onClose?: () => void;
};

/** Holds all open streams of this process: it enforces their limits, checks them regularly and ends them. */
export class StreamRegistry {
  readonly #options: RegistryOptions;
  readonly #writes = new WriteQueue();
  readonly #streams = new Set<OpenStream>();
  readonly #perSession: Quota;
  readonly #perAddress: Quota;
  readonly #silentPeers = new SilentPeers();
  readonly #sweeper: NodeJS.Timeout;
  readonly #tally = { results: 0 };
  #isDraining = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#perSession = new Quota(options.perSession, 'MAX_STREAMS_PER_SESSION');
    this.#perAddress = new Quota(options.perAddress, 'MAX_STREAMS_PER_ADDRESS');
    this.#sweeper = setInterval(() => this.#sweep(), options.times.sweep).unref();
  }

  /** How many streams are open. */
  get size(): number {
    return this.#streams.size;
  }

  /** How many results have been sent on streams since the process started. */
  get resultCount(): number {
    return this.#tally.results;
  }

  /**
   * Responds to the request with an open stream. Throws HttpError when the session or the address has reached its
   * limit. If a stream is requested while the server is draining, it ends immediately, like the streams that were
   * already open, because EventSource gives up after a refusal but reconnects after a stream ends.
   */
  open({ request, response, framing, asker, isTokenLive, onClose }: Opening): OpenStream {
    const release = this.#take(asker, addressOf(request, this.#options.trustedProxies));
    const stream = new OpenStream({
      tally: this.#tally,
      maxBufferBytes: this.#options.maxBufferBytes,
      expiresAt: asker !== null && isTokenLive === null ? expiryOf(asker) : null,
      isTokenLive,
      connection: new Connection({
        request,
        response,
        framing,
        queue: this.#writes,
        onClose: () => {
          this.#streams.delete(stream);
          release();
          stream.closeOperations();
          onClose?.();
        },
      }),
    });
    this.#streams.add(stream);
    if (this.#isDraining) stream.interrupt();
    return stream;
  }

  /**
   * Ends all streams without sending `complete`. They end one after the other, so that clients do not all reconnect at
   * the same time.
   */
  async drain(): Promise<void> {
    this.#isDraining = true;
    clearInterval(this.#sweeper);
    const streams = [...this.#streams];
    const stepMs = Math.min(drainSpreadMs.each, drainSpreadMs.most / Math.max(1, streams.length));
    let owedMs = 0;
    for (const stream of streams) {
      stream.interrupt();
      owedMs += stepMs;
      if (owedMs < 10) continue;
      await new Promise((resolve) => setTimeout(resolve, owedMs));
      owedMs = 0;
    }
  }

  /**
   * Reserves a slot for another stream of this session and address; call the returned function to release the slot. For
   * programs, streams count per key or per user that the key acts as, and never per address.
   */
  #take(asker: Caller | null, address: string): () => void {
    const releaseAddress = asker?.kind === 'KEY' ? () => undefined : this.#perAddress.take(address);
    try {
      const releaseSession = asker === null ? () => undefined : this.#perSession.take(sessionOf(asker));
      return () => {
        releaseAddress();
        releaseSession();
      };
    } catch (error) {
      releaseAddress();
      throw error;
    }
  }

  *#connections(): Iterable<Connection> {
    for (const { connection } of this.#streams) yield connection;
  }

  /**
   * Checks each stream once, and sends the position of the log to streams on which nothing has been sent for a long
   * time.
   */
  #sweep(): void {
    const { times } = this.#options;
    const now = performance.now();
    const quiet = new Map<SharedSubscription, Receiver[]>();
    for (const stream of this.#streams) {
      stream.lookAfter(now, times);
      for (const subscription of stream.takeQuiet(now, times.cursorRefresh)) {
        const receivers = quiet.get(subscription.outlet);
        if (receivers === undefined) quiet.set(subscription.outlet, [subscription]);
        else receivers.push(subscription);
      }
    }
    if (this.#streams.size > 0) void this.#silentPeers.look(() => this.#connections(), now);
    const position = this.#options.position();
    if (position === null) return;
    for (const [group, receivers] of quiet) group.refresh(receivers, position);
  }
}

function sessionOf(caller: Caller): string {
  return hasUser(caller) ? String(caller.sessionId) : callerKey(caller);
}

function expiryOf(asker: Caller): number {
  const expiresAt = asker.expiresAt.getTime();
  return expiresAt - Math.random() * Math.min(maxExpirySpreadMs, Math.max(0, expiresAt - Date.now()) / 2);
}
