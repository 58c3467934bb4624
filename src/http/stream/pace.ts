import { bytesOf, type Batch } from '../../live/delivery.ts';
import type { Sink } from './sink.ts';

/** The maximum and the minimum number of events that are read at a time. */
const size = { most: 512, least: 10 };
/**
 * After this many bytes, a reader gets more only if the operating system has accepted them. The server therefore
 * buffers no more than this for a reader that stalls, and hundreds of readers may stall at the same time.
 */
const checkedBytes = 32 * 1024;
/** How many times in a row the operating system must accept everything before further events are read in advance. */
const steadyCount = 4;

/**
 * Decides how much of the log a reader gets at a time. A reader whose socket had no room for that much gets less next
 * time.
 */
export class Pace {
  #size: number;
  /** How many times in a row the operating system has accepted everything. */
  #wholeCount = 0;

  /** `first` is the number of events to read the first time. */
  constructor(first: number = size.most) {
    this.#size = first;
  }

  /** The number of events to read the next time. */
  get size(): number {
    return this.#size;
  }

  /**
   * Whether the operating system has accepted everything for a while, so that it makes sense to read more in advance.
   */
  get isSteady(): boolean {
    return this.#wholeCount >= steadyCount;
  }

  /** Call this if the socket had room for only this many of the events that were read. */
  slowDown(events: number): void {
    this.#wholeCount = 0;
    this.#size = Math.max(size.least, events);
  }

  /**
   * Sends the batches. Returns null if all batches were sent. If the socket had no more room, returns the id of the
   * last event that was sent. The remaining batches are then discarded, because it may take hours until there is room
   * again. `onSend` is called before each batch is sent.
   */
  send(batches: readonly Batch[], sink: Sink, onSend: (batch: Batch) => void): bigint | null {
    let [sent, events, unchecked] = [0, 0, 0];
    for (const batch of batches) {
      onSend(batch);
      sink.send(batch);
      sent += 1;
      events += batch.renderings.length;
      unchecked += bytesOf(batch);
      if (unchecked < checkedBytes && sent < batches.length) continue;
      unchecked = 0;
      if (!sink.takesAll()) break;
    }
    if (sent < batches.length) {
      this.slowDown(events);
      return batches[sent - 1]?.renderings.at(-1)?.eventId ?? null;
    }
    this.#wholeCount += 1;
    this.#size = Math.min(size.most, 2 * this.#size);
    return null;
  }
}
