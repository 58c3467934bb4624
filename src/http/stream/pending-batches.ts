import { bytesOf, type Batch } from '../../live/delivery.ts';

/** If more bytes than this are pending, reading the log is cheaper than holding the batches in memory. */
const maxBytes = 256 * 1024;

/** Holds the batches that arrive while a subscriber reads the log, up to a limit. */
export class PendingBatches {
  #batches: Batch[] = [];
  #bytes = 0;
  #isOver = false;

  /** Whether batches were dropped, so that the subscriber must read them from the log. */
  get isOver(): boolean {
    return this.#isOver;
  }

  add(batch: Batch): void {
    if (this.#isOver) return;
    this.#bytes += bytesOf(batch);
    if (this.#bytes <= maxBytes) this.#batches.push(batch);
    else this.giveUp();
  }

  /** Drops all batches, including later ones. */
  giveUp(): void {
    this.#batches = [];
    this.#isOver = true;
  }

  /** Starts over: keeps the batches that arrive from now on. */
  restart(): void {
    this.#batches = [];
    this.#bytes = 0;
    this.#isOver = false;
  }

  /** Removes and returns the batches, in the order in which they arrived. */
  take(): Batch[] {
    const batches = this.#batches;
    this.#batches = [];
    return batches;
  }
}
