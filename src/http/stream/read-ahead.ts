import type { Range } from '../../log/missed-stretch.ts';

/**
 * How old a stretch may be when it is taken, in ms. A socket may take minutes to drain; by then, its reader may have lost
 * access to a chat whose messages have been edited since.
 */
const maxAgeMs = 1_000;

/** Reads stretches of the log one after the other. The next one can be read while the current one is being sent. */
export class ReadAhead<Stretch> {
  readonly #read: (range: Range) => Promise<Stretch>;
  #begun: { range: Range; stretch: Promise<Stretch>; at: number } | null = null;

  constructor(read: (range: Range) => Promise<Stretch>) {
    this.#read = read;
  }

  /** Begins to read a stretch that will probably be taken next. Returns it. */
  begin(range: Range): Promise<Stretch> {
    const at = performance.now();
    const stretch = this.#read(range);
    // `take` returns the same promise, with its error. If the stretch is never taken, the error does not matter.
    stretch.catch(() => undefined);
    this.#begun = { range, stretch, at };
    return stretch;
  }

  /** The stretch of this range: the one that was begun, if it is recent and has at least this range's events. */
  take(range: Range): Promise<Stretch> {
    const begun = this.#begun;
    this.#begun = null;
    const fits =
      begun !== null &&
      performance.now() - begun.at < maxAgeMs &&
      begun.range.after === range.after &&
      begun.range.through === range.through &&
      begun.range.limit >= range.limit;
    return fits ? begun.stretch : this.#read(range);
  }
}
