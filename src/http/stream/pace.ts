import { byteLengthOf, type Rendering } from '../../live/delivery.ts';
import type { Sink } from './sink.ts';

/** How many events are read at a time. */
const size = { most: 200, least: 10 };
/**
 * A larger amount goes out in pieces of this size, for as long as the socket accepts each one immediately. A piece
 * belongs to one reader and is all that the server holds for a reader that stalls here (and hundreds may stall at the
 * same time).
 */
const pieceBytes = 32 * 1024;

/**
 * How much of the log one reader gets at a time. A reader whose socket had no room for that much gets less next time.
 */
export class Pace {
  #size: number;

  /** `first`: how many events to read at first. */
  constructor(first: number = size.most) {
    this.#size = first;
  }

  /** How many events to read next. */
  get size(): number {
    return this.#size;
  }

  /**
   * Sends the renderings. Returns null when all were sent, or the id of the last event that was sent when there was no
   * room for more. The rest is not kept, because room may take hours to appear. `onSend` is called before each piece
   * goes out.
   */
  send(renderings: readonly Rendering[], sink: Sink, onSend: (piece: Rendering[]) => void): bigint | null {
    let sentCount = 0;
    while (sentCount < renderings.length) {
      const piece = takePiece(renderings, sentCount);
      onSend(piece);
      sink.send({ renderings: piece, encodings: new Map(), isReplay: true });
      sentCount += piece.length;
      if (!sink.takesAll()) break;
    }
    const isWhole = sentCount === renderings.length;
    this.#size = isWhole ? Math.min(size.most, 2 * this.#size) : Math.max(size.least, sentCount);
    return isWhole ? null : (renderings[sentCount - 1]?.eventId ?? null);
  }
}

function takePiece(renderings: readonly Rendering[], from: number): Rendering[] {
  let to = from;
  for (let bytes = 0; to < renderings.length && bytes < pieceBytes; to += 1) {
    const rendering = renderings[to];
    if (rendering !== undefined) bytes += byteLengthOf(rendering);
  }
  return renderings.slice(from, to);
}
