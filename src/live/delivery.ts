import type { Caller } from '../core/asker.ts';
import type { EndReason, Listener } from '../live/listener.ts';
import type { StreamNotice } from './notice.ts';

/** An event as a client receives it: the encoded ExecutionResult, and the cursor that identifies it. */
export type Rendering = {
  eventId: bigint;
  cursor: string;
  payload: string;
  /** See `byteLengthOf`. */
  byteLength?: number;
  /** Set if this is a notice about the stream itself, not an event. */
  notice?: StreamNotice['kind'];
};

/**
 * The length of the payload in bytes of UTF-8. It is counted on first use, and only once for all receivers of the
 * rendering.
 */
export function byteLengthOf(rendering: Rendering): number {
  return (rendering.byteLength ??= Buffer.byteLength(rendering.payload));
}

/** Renderings that go out together. `encodings` caches their bytes in each framing: encoded once, sent to all. */
export type Batch = {
  renderings: Rendering[];
  encodings: Map<object, Buffer>;
  /** The batch reports the log's position, not an event: its cursor may have been sent before. */
  isNotice?: true;
  /** See `bytesOf`. */
  byteLength?: number;
};

/** The length of all payloads of a batch, in bytes of UTF-8, counted only once for all receivers. */
export function bytesOf(batch: Batch): number {
  batch.byteLength ??= batch.renderings.reduce((sum, rendering) => sum + byteLengthOf(rendering), 0);
  return batch.byteLength;
}

/** A listener that receives rendered events. */
export interface Receiver extends Listener {
  readonly asker: Caller;
  /** False while the receiver would drop every event: nothing is executed for it then. */
  readonly isReceiving: boolean;
  receive(batch: Batch): void;
  /** Events were dropped for this receiver; it resumes from the log. */
  lag(): void;
  /**
   * Receives a notice that is not kept; `print` returns the payload with the stream's own cursor in it. With
   * `isToldOfLoss`, a receiver that misses the notice receives CaughtUp instead.
   */
  receiveTransient(print: (cursor: string) => string, options: { isToldOfLoss: boolean }): void;
  /** Ends at event `at`; nothing follows. */
  finish(reason: EndReason, at: bigint): void;
  /** Closes the stream, so that its client reconnects. */
  interrupt(): void;
}

/**
 * One rendering for all receivers, so that neighbouring events can go out together; or an action that runs when its
 * turn comes.
 */
export type Delivery = { receivers: readonly Receiver[]; rendering: Rendering } | (() => void) | null;

/** Makes these receivers resume from the log. */
export function letLag(receivers: Iterable<Receiver>): void {
  for (const receiver of receivers) receiver.lag();
}

/** Sends the deliveries in order; neighbouring ones with the same receivers go out as one batch. */
export function send(deliveries: readonly Delivery[]): void {
  let receivers: readonly Receiver[] = [];
  let renderings: Rendering[] = [];
  const flush = () => {
    if (renderings.length === 0) return;
    const batch: Batch = { renderings, encodings: new Map() };
    renderings = [];
    for (const receiver of receivers) receiver.receive(batch);
  };
  for (const delivery of deliveries) {
    if (delivery === null) continue;
    if (typeof delivery === 'function') {
      flush();
      delivery();
      continue;
    }
    if (delivery.receivers !== receivers) flush();
    receivers = delivery.receivers;
    renderings.push(delivery.rendering);
  }
  flush();
}
