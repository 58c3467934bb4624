import { bytesOf, type Batch } from '../../live/delivery.ts';
import type { Sink } from './sink.ts';

/** How many events are read at a time. */
const size = { most: 512, least: 10 };
/**
 * After this many bytes, a reader gets more only if the socket has taken them: that much is all that the server holds for
 * a reader that stalls here (and hundreds may stall at the same time).
 */
const checkedBytes = 32 * 1024;
/** How many times in a row the socket must take everything before more is read in advance. */
const steadyCount = 4;

/**
 * How much of the log one reader gets at a time. A reader whose socket had no room for that much gets less next time.
 */
export class Pace {
  #size: number;
  /** How many times in a row the socket has taken all that it got. */
  #wholeCount = 0;

  /** `first`: how many events to read at first. */
  constructor(first: number = size.most) {
    this.#size = first;
  }

  /** How many events to read next. */
  get size(): number {
    return this.#size;
  }

  /** Whether the socket has taken everything for a while, so that it is worth reading more in advance. */
  get isSteady(): boolean {
    return this.#wholeCount >= steadyCount;
  }

  /** Call this when the socket has room for only this many of the events that were read. */
  slowDown(events: number): void {
    this.#wholeCount = 0;
    this.#size = Math.max(size.least, events);
  }

  /**
   * Sends the batches. Returns null when all were sent or, if there was no more room, the id of the last event that was
   * sent. The rest is not kept, because room may take hours to appear. `onSend` is called before each batch goes out.
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
