const comma = ','.charCodeAt(0);
/** On average, one in this many ids is the last id of its segment; a power of two. */
const meanLength = 64;
/** The longest segment. Without this limit, only one segment in fifty would be longer. */
export const maxLength = 4 * meanLength;

/**
 * Neighbouring events in a reader's part of the log, represented by their ids. Two segments have the same `key` only if
 * they have the same ids.
 */
export class Segment {
  readonly key: string;
  readonly length: number;
  #ids: bigint[] | null = null;

  /** `key`: the ids, separated by commas. */
  constructor(key: string, length: number) {
    this.key = key;
    this.length = length;
  }

  get ids(): readonly bigint[] {
    this.#ids ??= this.key.split(',').map(BigInt);
    return this.#ids;
  }

  get firstId(): bigint {
    return BigInt(this.key.split(',', 1)[0] ?? '');
  }

  get lastId(): bigint {
    return BigInt(this.key.slice(this.key.lastIndexOf(',') + 1));
  }
}

/** `isFull`: whether there may be more events after these segments. */
export type Segments = { segments: Segment[]; isFull: boolean };

/**
 * Cuts at most `limit` ids, separated by commas, into segments of at most `most` ids. Whether a segment shorter than
 * `most` ends at an id depends on that id alone. Readers with different cursors and different chats therefore get the
 * same segments where they have the same events (content-defined chunking: Muthitacharoen et al., A Low-bandwidth
 * Network File System, SOSP 2001). A list that reaches the limit ends with a whole segment, provided that it contains
 * one.
 */
export function cutSegments(list: string, { limit, most }: { limit: number; most: number }): Segments {
  if (list === '') return { segments: [], isFull: false };
  const segments: Segment[] = [];
  let [total, from, length, hash] = [0, 0, 0, 0];
  for (let at = 0; at <= list.length && total < limit; at += 1) {
    const code = at === list.length ? comma : list.charCodeAt(at);
    if (code !== comma) {
      hash = Math.imul(hash, 31) + code;
      continue;
    }
    total += 1;
    length += 1;
    const isEnd = isLast(hash) || length === most;
    hash = 0;
    if (!isEnd && at < list.length && total < limit) continue;
    const isFull = total === limit;
    if (!isEnd && isFull && segments.length > 0) break;
    segments.push(new Segment(list.slice(from, at), length));
    [from, length] = [at + 1, 0];
  }
  return { segments, isFull: total === limit };
}

/** Ids often grow in steps of two or four, so looking only at their last digits would not be enough. */
function isLast(hash: number): boolean {
  return Math.imul(hash, 0x9e3779b1) >>> (32 - Math.log2(meanLength)) === 0;
}
