/**
 * How long a reader counts after its last read from the log, in ms. The events that it read would be cached for the
 * same time.
 */
const recentMs = 2_000;
/** The maximum number of readers that count. If there are more, only the most recent readers count. */
const maxReaders = 1_000;

type Reading = { firstId: bigint; at: number };

/**
 * Predicts whether another reader will want the events that a reader has just read. This is likely if the other reader
 * has read from the log recently and began at or before the last of these events. Events that only one reader wants are
 * not cached, because objects that live for seconds survive many garbage collections. Without caching, a replay of
 * 50,000 events takes 28 µs of CPU time per event instead of 37. After an outage, the reads of all readers except the
 * first are cached.
 */
export class Demand {
  /** The readers, ordered by their last reads. */
  readonly #readers = new Map<symbol, Reading>();

  /** Records that a reader is reading events, starting with this one. */
  note(reader: symbol, firstId: bigint): void {
    const known = this.#readers.get(reader);
    this.#readers.delete(reader);
    this.#readers.set(reader, { firstId: known?.firstId ?? firstId, at: performance.now() });
    this.#dropOld();
  }

  /** Returns whether other readers will probably want the events that this reader has read, up to this one. */
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
