import { byteLengthOf, type Batch } from '../../live/delivery.ts';

/** Past this the log is the better place for what comes. */
const maxBytes = 256 * 1024;

/** What comes while a reader is busy with the log, as long as it is not much. */
export class PendingBatches {
  #batches: Batch[] = [];
  #bytes = 0;
  #isOver = false;

  /** Whether some were let go: they are to be read from the log. */
  get isOver(): boolean {
    return this.#isOver;
  }

  add(batch: Batch): void {
    if (this.#isOver) return;
    for (const rendering of batch.renderings) this.#bytes += byteLengthOf(rendering);
    if (this.#bytes <= maxBytes) this.#batches.push(batch);
    else this.giveUp();
  }

  /** Lets go of all of them, and of what comes. */
  giveUp(): void {
    this.#batches = [];
    this.#isOver = true;
  }

  /** Begins anew: what comes from here on is kept. */
  restart(): void {
    this.#batches = [];
    this.#bytes = 0;
    this.#isOver = false;
  }

  /** Hands them out, in the order in which they came. */
  take(): Batch[] {
    const batches = this.#batches;
    this.#batches = [];
    return batches;
  }
}
