import { byteLengthOf, type Batch, type Rendering } from '../live/delivery.ts';

/**
 * The maximum number of events and bytes that may wait for a receiver. Above this limit, the webhook reads the log at
 * the receiver's pace.
 */
const most = { events: 100, bytes: 1024 * 1024 };
/** The webhook resumes reading the log when no more than these numbers of events and bytes are waiting. */
const few = { events: 20, bytes: 256 * 1024 };
/**
 * The maximum number of events and bytes in one request, for receivers that ask for batches. A single event may be
 * larger.
 */
const batch = { events: 100, bytes: 256 * 1024 };

/** The callbacks with which a sink notifies its owner. */
export type SinkOwner = {
  /** Called when there is something to deliver. */
  wake: () => void;
  /** Called when the subscription has ended. `payload` is its last result, which contains the errors. */
  finish: (payload: string | null) => void;
  /** Called when the subscription must be opened again. */
  interrupt: () => void;
};

/**
 * The queue to which a webhook's subscription sends its events. Events wait in the queue until the receiver has
 * accepted the earlier ones.
 */
export class WebhookSink {
  readonly #owner: SinkOwner;
  /**
   * False from a failure until the receiver has accepted an event. In the meantime, the receiver gets a single event as
   * a trial.
   */
  #isTrusted: boolean;
  #isSending = false;
  #waiting: Rendering[] = [];
  #bytes = 0;
  #isOpen = true;
  #onRoom: (() => void)[] = [];

  constructor(owner: SinkOwner, { isTrusted }: { isTrusted: boolean }) {
    this.#owner = owner;
    this.#isTrusted = isTrusted;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get isCongested(): boolean {
    return this.#waiting.length >= most.events || this.#bytes >= most.bytes;
  }

  /** Notices that are not stored in the log are not delivered. */
  get isReadyForTyping(): boolean {
    return false;
  }

  /** Whether nothing is waiting. */
  get isIdle(): boolean {
    return this.#waiting.length === 0;
  }

  send({ renderings }: Batch): void {
    if (!this.#isOpen) return;
    for (const rendering of renderings) {
      this.#waiting.push(rendering);
      this.#bytes += byteLengthOf(rendering);
    }
    this.#owner.wake();
  }

  takesAll(): boolean {
    if (!this.#isTrusted) return this.isIdle && !this.#isSending;
    return this.#waiting.length <= few.events && this.#bytes <= few.bytes;
  }

  drained(): Promise<void> {
    if (!this.#isOpen || this.takesAll()) return Promise.resolve();
    return new Promise((resolve) => void this.#onRoom.push(resolve));
  }

  finish(payload: string | null): void {
    if (this.#isOpen) this.#owner.finish(payload);
  }

  interrupt(): void {
    if (this.#isOpen) this.#owner.interrupt();
  }

  /**
   * Removes and returns the next events to deliver together: one event, or several if the receiver asks for batches.
   * Returns an empty list if no events are waiting.
   */
  take({ isBatch }: { isBatch: boolean }): Rendering[] {
    const limit = isBatch ? batch : { events: 1, bytes: 0 };
    let bytes = 0;
    let count = 0;
    for (const rendering of this.#waiting) {
      // A notice is never part of a batch: CaughtUp is not sent, but Reset is.
      if (count > 0 && (rendering.notice !== undefined || this.#waiting[0]?.notice !== undefined)) break;
      bytes += byteLengthOf(rendering);
      if (count > 0 && (count === limit.events || bytes > limit.bytes)) break;
      count += 1;
    }
    const taken = this.#waiting.splice(0, count);
    for (const rendering of taken) this.#bytes -= byteLengthOf(rendering);
    this.#isSending = count > 0;
    this.#makeRoom();
    return taken;
  }

  /** Call this when the receiver has accepted the events that were removed last. */
  accept(): void {
    this.#isSending = false;
    this.#isTrusted = true;
    this.#makeRoom();
  }

  /** Discards everything that is waiting, and accepts nothing more. */
  close(): void {
    this.#isOpen = false;
    this.#waiting = [];
    this.#bytes = 0;
    for (const resolve of this.#onRoom.splice(0)) resolve();
  }

  #makeRoom(): void {
    if (this.takesAll()) for (const resolve of this.#onRoom.splice(0)) resolve();
  }
}
