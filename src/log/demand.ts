/** For how long, in ms, a reader counts after it has read the log: as long as what it read would be kept. */
const recentMs = 2_000;
/** The readers that count: this many of those that read last. */
const maxReaders = 1_000;

type Reading = { firstId: bigint; at: number };

/**
 * Tells whether another reader will probably want the events that a reader has just read: one that has lately read from
 * the log and began at or before the last of them. What only one reader wants is not kept, because whatever is kept for
 * seconds survives many garbage collections (replay of 50,000 events: 28 instead of 37 µs of CPU per event). After an
 * outage, the reads of all readers except the first are kept.
 */
export class Demand {
  /** The readers, in the order of their last reads. */
  readonly #readers = new Map<symbol, Reading>();

  /** Notes that a reader reads events from this one on. */
  note(reader: symbol, firstId: bigint): void {
    const known = this.#readers.get(reader);
    this.#readers.delete(reader);
    this.#readers.set(reader, { firstId: known?.firstId ?? firstId, at: performance.now() });
    this.#dropOld();
  }

  /** Whether others will probably want what this reader has read up to this event. */
  isShared(reader: symbol, lastId: bigint): boolean {
    this.#dropOld();
    for (const [other, { firstId }] of this.#readers) if (other !== reader && firstId <= lastId) return true;
    return false;
  }

  #dropOld(): void {
    const since = performance.now() - recentMs;
    for (const [reader, { at }] of this.#readers) {
      if (at >= since && this.#readers.size <= maxReaders) return;
      this.#readers.delete(reader);
    }
  }
}
