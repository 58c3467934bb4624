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
  /** Set if this is a notice about the stream itself instead of an event. */
  notice?: StreamNotice['kind'];
};

/**
 * Returns the length of the payload in bytes of UTF-8. The bytes are counted on first use, and only once for all
 * receivers of the rendering.
 */
export function byteLengthOf(rendering: Rendering): number {
  return (rendering.byteLength ??= Buffer.byteLength(rendering.payload));
}

/**
 * Renderings that are sent together. `encodings` caches the bytes of the batch for each framing, so that a batch is
 * encoded once and sent to all receivers.
 */
export type Batch = {
  renderings: Rendering[];
  encodings: Map<object, Buffer>;
  /** Set if the batch reports the position of the log instead of an event; its cursor may have been sent before. */
  isNotice?: true;
  /** See `bytesOf`. */
  byteLength?: number;
};

/**
 * Returns the total length of the payloads of a batch, in bytes of UTF-8, which is counted only once for all receivers.
 */
export function bytesOf(batch: Batch): number {
  batch.byteLength ??= batch.renderings.reduce((sum, rendering) => sum + byteLengthOf(rendering), 0);
  return batch.byteLength;
}

/** A listener that receives rendered events. */
export interface Receiver extends Listener {
  readonly asker: Caller;
  /** False while the receiver would drop every event. In that state, nothing is executed for the receiver. */
  readonly isReceiving: boolean;
  receive(batch: Batch): void;
  /** Call this when events were dropped for this receiver, so that it resumes from the log. */
  lag(): void;
  /**
   * Receives a notice that is not stored; `print` returns the payload with the stream's own cursor in it. If
   * `isToldOfLoss` is true, a receiver that misses the notice receives CaughtUp instead.
   */
  receiveTransient(print: (cursor: string) => string, options: { isToldOfLoss: boolean }): void;
  /** Ends the subscription at event `at`, after which nothing is sent. */
  finish(reason: EndReason, at: bigint): void;
  /** Closes the stream, so that its client reconnects. */
  interrupt(): void;
}

/**
 * Either one rendering for all of the receivers, so that consecutive events can be sent together, or an action that
 * runs when its turn comes.
 */
export type Delivery = { receivers: readonly Receiver[]; rendering: Rendering } | (() => void) | null;

/** Makes these receivers resume from the log. */
export function letLag(receivers: Iterable<Receiver>): void {
  for (const receiver of receivers) receiver.lag();
}

/** Sends the deliveries in order; consecutive deliveries with the same receivers are sent as one batch. */
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
