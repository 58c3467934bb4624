import type { Asker } from '../core/asker.ts';
import { RateLimited } from '../errors.ts';
import type { Queryable } from '../postgres/client.ts';
import { countStoredBytes, overQuota } from './file-quota.ts';

/**
 * How many requests may bring files at the same time, on this node. A browser sends six at once; behind one address there
 * may be a whole office.
 */
export const maxArriving = { perPerson: 32, perAddress: 200, inAll: 1_000 };

/** So few bytes of one person may be arriving before anyone counts what they have stored: `add_files` counts them again. */
const uncountedBytes = 64 * 1024;

const retryAfterSeconds = 5;

/** What is arriving of one person: how many requests, and for how many bytes there has to be room. */
type Share = { count: number; bytes: number };

/** Who sends files, from which network address, and how large the request says it is; null when it doesn't say. */
export type Sender = { asker: Asker; address: string; declaredBytes: number | null };

/**
 * The requests that bring files just now. Each counts for its person, its address and this node from its beginning, and
 * what it brings counts for the person's quota before it is a file: many unfinished uploads have no more room than
 * finished ones.
 */
export class Arrivals {
  readonly #client: Queryable;
  readonly #quotaBytes: number;
  readonly #people = new Map<bigint, Share>();
  readonly #addresses = new Map<string, number>();
  #count = 0;

  constructor(client: Queryable, quotaBytes: number) {
    this.#client = client;
    this.#quotaBytes = quotaBytes;
  }

  /**
   * Does `work` with an arrival, which ends with it. Throws RateLimited when the person, the address or the node has too
   * many already, and TooLarge when what the request declares has no room in the person's quota.
   */
  async during<Result>(sender: Sender, work: (arrival: Arrival) => Promise<Result>): Promise<Result> {
    const { asker, address, declaredBytes } = sender;
    const share = this.#enter(asker.userId, address);
    const arrival = new Arrival(asker, share, { quotaBytes: this.#quotaBytes, client: this.#client });
    try {
      if (declaredBytes !== null) await arrival.reserve(declaredBytes);
      return await work(arrival);
    } finally {
      arrival.end();
      this.#leave(asker.userId, address);
    }
  }

  #enter(userId: bigint, address: string): Share {
    const share = this.#people.get(userId) ?? { count: 0, bytes: 0 };
    const ofAddress = this.#addresses.get(address) ?? 0;
    refuseFrom(share.count, maxArriving.perPerson, 'you are');
    refuseFrom(ofAddress, maxArriving.perAddress, 'your network is');
    refuseFrom(this.#count, maxArriving.inAll, 'others are');
    share.count += 1;
    this.#people.set(userId, share);
    this.#addresses.set(address, ofAddress + 1);
    this.#count += 1;
    return share;
  }

  #leave(userId: bigint, address: string): void {
    const share = this.#people.get(userId);
    if (share !== undefined && (share.count -= 1) === 0) this.#people.delete(userId);
    const ofAddress = (this.#addresses.get(address) ?? 0) - 1;
    if (ofAddress > 0) this.#addresses.set(address, ofAddress);
    else this.#addresses.delete(address);
    this.#count -= 1;
  }
}

function refuseFrom(count: number, limit: number, who: string): void {
  if (count < limit) return;
  throw new RateLimited(
    `There are ${limit} uploads that ${who} sending: wait until one is complete.`,
    retryAfterSeconds,
  );
}

/** One request that brings files. */
export class Arrival {
  readonly asker: Asker;
  readonly #share: Share;
  readonly #quota: { quotaBytes: number; client: Queryable };
  #received = 0;
  /** What this request takes of the share: what it has declared, or what has come, if that is more. */
  #held = 0;
  #left: number | null = null;

  constructor(asker: Asker, share: Share, quota: { quotaBytes: number; client: Queryable }) {
    this.asker = asker;
    this.#share = share;
    this.#quota = quota;
  }

  /**
   * Makes room for a request that says how large it is: TooLarge when there is none. What stands around its files is not
   * told apart, so a little less is reserved than it has.
   */
  async reserve(declaredBytes: number): Promise<void> {
    await this.#hold(declaredBytes - uncountedBytes);
  }

  /** So many bytes more have come. TooLarge when there is no room for them. */
  async take(bytes: number): Promise<void> {
    this.#received += bytes;
    await this.#hold(this.#received);
  }

  /** Nothing of it is arriving any more. */
  end(): void {
    this.#share.bytes -= this.#held;
    this.#held = 0;
  }

  async #hold(bytes: number): Promise<void> {
    if (bytes <= this.#held) return;
    // Those who come later have to fit in beside it, not the other way round.
    const together = (this.#share.bytes += bytes - this.#held);
    this.#held = bytes;
    if (together <= uncountedBytes) return;
    const { quotaBytes, client } = this.#quota;
    this.#left ??= quotaBytes - (await countStoredBytes(client, this.asker));
    if (together > this.#left) throw overQuota(quotaBytes);
  }
}
