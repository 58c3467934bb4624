import { byteLengthOf, type Rendering } from '../../live/delivery.ts';
import type { Sink } from './sink.ts';

/** How many events are read at a time. */
const size = { most: 200, least: 10 };
/**
 * What is larger than this together goes out in pieces, for as long as the socket takes them at once: a piece is this
 * reader's own, and is all that is held for one who stalls here (hundreds may, at the same time).
 */
const pieceBytes = 32 * 1024;

/** How much of the log one reader is given at a time: less, after they had no room for as much. */
export class Pace {
  #size = size.most;

  /** How many events to read next. */
  get size(): number {
    return this.#size;
  }

  /**
   * Sends what was read. Null when all of it went; otherwise the last event that did, for there was no room for more.
   * What is left then is not kept: it may take hours until there is. `onSend` is told before each piece goes.
   */
  send(renderings: readonly Rendering[], sink: Sink, onSend: (piece: Rendering[]) => void): bigint | null {
    let sentCount = 0;
    while (sentCount < renderings.length) {
      const piece = takePiece(renderings, sentCount);
      onSend(piece);
      sink.send({ renderings: piece, encodings: new Map() });
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
