import type { Asker } from '../core/asker.ts';
import type { EndReason, Listener } from '../live/listener.ts';

/** An event as a client gets it: the encoded ExecutionResult, and the cursor that stands for it. */
export type Rendering = {
  eventId: bigint;
  cursor: string;
  payload: string;
  /** See `byteLengthOf`. */
  byteLength?: number;
};

/** Of the payload, as it goes out in UTF-8. Counted when it is first asked for, and once for all who hold it. */
export function byteLengthOf(rendering: Rendering): number {
  return (rendering.byteLength ??= Buffer.byteLength(rendering.payload));
}

/** Renderings that go out together. `encodings` remembers what they look like in each framing: made once, sent to all. */
export type Batch = {
  renderings: Rendering[];
  encodings: Map<object, Buffer>;
  /** It says where the log is, not what happened: its cursor may be one that was sent before. */
  isNotice?: true;
};

/** A listener whose events come rendered. */
export interface Receiver extends Listener {
  readonly asker: Asker;
  /** False while it would throw away what it got: then nothing is executed for it. */
  readonly isReceiving: boolean;
  receive(batch: Batch): void;
  /** Something is left out of what it was to receive: it reads on in the log. */
  lag(): void;
  /** What isn't kept; `print` gives the payload with the stream's own cursor in it. A loss may be told by CaughtUp. */
  receiveTransient(print: (cursor: string) => string, options: { isToldOfLoss: boolean }): void;
  /** It ends at event `at`; nothing comes after. */
  finish(reason: EndReason, at: bigint): void;
  /** It closes, to be opened again by its client. */
  interrupt(): void;
}

/** The same for all receivers, so that neighbours can go out together; or something that is done at its place. */
export type Delivery = { receivers: readonly Receiver[]; rendering: Rendering } | (() => void) | null;

/** They read on in the log. */
export function letLag(receivers: Iterable<Receiver>): void {
  for (const receiver of receivers) receiver.lag();
}

/** Neighbours with the same receivers go out as one batch. */
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
