import type { LoggedEvent } from '../../log/event.ts';
import { attachRows, rowsLastMs } from './read-for-all.ts';
import { Freshness } from './freshness.ts';
import { decodeHeader, decodePiece, type Header } from './wire.ts';

/**
 * The maximum amount of data that may wait, in characters and in messages. A node that falls behind drops the messages
 * that do not fit, and reads their events from the log.
 */
const limits = { length: 16 * 1024 * 1024, headers: 1_000, pieces: 10_000 };
/**
 * How long a newer publisher must be silent, in ms, before messages from an older one are accepted, because term
 * numbers may start over.
 */
const termSilenceMs = 10_000;

/** A header, with the time when it arrived and its age at that time. */
export type ReceivedHeader = Header & { receivedAt: number; excessMs: number; length: number };

type WaitingPiece = { through: bigint; text: string };

/** Keeps the messages of publishers until it is their turn. */
export class Inbox {
  #headers: ReceivedHeader[] = [];
  /** The pieces by term, position and shard. */
  readonly #pieces = new Map<string, WaitingPiece>();
  readonly #freshness = new Freshness();
  #length = 0;
  #term = -1n;
  #heardAt = -Infinity;

  /** When the last valid header arrived, in ms (by `performance.now()`). */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Adds a header and returns it. Returns null if the message is not a header or is from an older publisher. */
  addHeader(text: string): Header | null {
    const header = decodeHeader(text);
    const now = performance.now();
    if (header === null || (header.term < this.#term && now - this.#heardAt < termSilenceMs)) return null;
    if (header.term !== this.#term) this.#term = header.term;
    this.#heardAt = now;
    const excessMs = this.#freshness.excessOf({ ...header, receivedAt: now });
    this.#makeRoom(text.length);
    this.#headers.push({ ...header, receivedAt: now, excessMs, length: text.length });
    this.#length += text.length;
    return header;
  }

  addPiece(shard: number, text: string): void {
    // A piece is fully decoded only when its turn comes, because this node may not need it.
    const [, term, through] = /^\[\d+,"(\d+)","(\d+)"/.exec(text) ?? [];
    if (term === undefined || through === undefined) return;
    this.#makeRoom(text.length);
    this.#pieces.set(keyOf(term, through, shard), { through: BigInt(through), text });
    this.#length += text.length;
  }

  /** Returns the next header that covers events after `position` or says that the log ended there. */
  next(position: bigint): ReceivedHeader | null {
    const count = this.#headers.findIndex(({ through }) => through >= position);
    this.#dropHeaders(count === -1 ? this.#headers.length : count);
    return this.#headers[0] ?? null;
  }

  /** Drops this header if it is still the next one. */
  drop(header: ReceivedHeader): void {
    if (this.#headers[0] === header) this.#dropHeaders(1);
  }

  /** Returns the shards of this header whose pieces have not arrived. */
  lacking({ term, through, shards }: Header): number[] {
    return shards.filter((shard) => !this.#pieces.has(keyOf(term, through, shard)));
  }

  /**
   * Returns the events after `position` in a header and in its pieces for these shards; null if a piece cannot be read.
   */
  eventsOf(header: ReceivedHeader, position: bigint, shards: readonly number[]): LoggedEvent[] | null {
    const events = [...header.events];
    const until = header.receivedAt - header.excessMs + rowsLastMs;
    for (const shard of shards) {
      const piece = this.#pieces.get(keyOf(header.term, header.through, shard));
      const decoded = piece === undefined ? null : decodePiece(piece.text);
      if (decoded === null) return null;
      events.push(...attachRows(decoded.events, decoded.rows, until));
    }
    return events.filter(({ id }) => id > position).toSorted((one, other) => (one.id < other.id ? -1 : 1));
  }

  /** Drops the pieces of all batches up to this position. */
  settle(position: bigint): void {
    // Pieces arrive almost in order, so the search ends at the first piece of a later batch.
    for (const [key, { through, text }] of this.#pieces) {
      if (through > position) break;
      this.#pieces.delete(key);
      this.#length -= text.length;
    }
  }

  clear(): void {
    this.#headers = [];
    this.#pieces.clear();
    this.#length = 0;
    this.#term = -1n;
  }

  #dropHeaders(count: number): void {
    for (const { length } of this.#headers.splice(0, count)) this.#length -= length;
  }

  /**
   * Drops everything if there is no room left. This leaves a gap before the next message, so the feed reads the log.
   */
  #makeRoom(length: number): void {
    const isFull =
      this.#length + length > limits.length ||
      this.#headers.length >= limits.headers ||
      this.#pieces.size >= limits.pieces;
    if (!isFull) return;
    this.#dropHeaders(this.#headers.length);
    this.#pieces.clear();
    this.#length = 0;
  }
}

function keyOf(term: bigint | string, through: bigint | string, shard: number): string {
  return `${term} ${through} ${shard}`;
}
