import type { Range } from '../../log/log-reader.ts';

/** Reads stretches of the log one after the other. The next one can be read while the current one is being sent. */
export class ReadAhead<Stretch> {
  readonly #read: (range: Range) => Promise<Stretch>;
  #begun: { range: Range; stretch: Promise<Stretch> } | null = null;

  constructor(read: (range: Range) => Promise<Stretch>) {
    this.#read = read;
  }

  /** Begins to read a stretch that will probably be taken next. */
  begin(range: Range): void {
    const stretch = this.#read(range);
    // Whoever takes the stretch gets its error; it may also never be taken.
    stretch.catch(() => undefined);
    this.#begun = { range, stretch };
  }

  /** The stretch of this range: the one that was begun, if it has at least this range's events. */
  take(range: Range): Promise<Stretch> {
    const begun = this.#begun;
    this.#begun = null;
    const fits =
      begun !== null &&
      begun.range.after === range.after &&
      begun.range.through === range.through &&
      begun.range.limit >= range.limit;
    return fits ? begun.stretch : this.#read(range);
  }
}
