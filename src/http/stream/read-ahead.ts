import type { Range } from '../../log/missed-stretch.ts';

/**
 * The maximum age of a stretch that was read in advance, in ms. A socket may take minutes to drain. By then, its reader
 * may have lost access to a chat in which messages have since been edited.
 */
const maxAgeMs = 1_000;

/** Reads stretches of the log one after the other. The next stretch can be read while the current one is being sent. */
export class ReadAhead<Stretch> {
  readonly #read: (range: Range) => Promise<Stretch>;
  #begun: { range: Range; stretch: Promise<Stretch>; at: number } | null = null;

  constructor(read: (range: Range) => Promise<Stretch>) {
    this.#read = read;
  }

  /** Starts reading a stretch that will probably be needed next. Returns it. */
  begin(range: Range): Promise<Stretch> {
    const at = performance.now();
    const stretch = this.#read(range);
    // `take` returns the same promise, so the caller gets the error. If `take` is not called, the error does not
    // matter.
    stretch.catch(() => undefined);
    this.#begun = { range, stretch, at };
    return stretch;
  }

  /**
   * Returns the stretch for this range. Uses the stretch that `begin` started to read if it is recent and includes all
   * events in the range.
   */
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
