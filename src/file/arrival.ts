import type { Asker } from '../core/asker.ts';
import { noMetrics, type Metrics } from '../core/metric.ts';
import { RateLimited } from '../errors.ts';
import type { Queryable } from '../postgres/client.ts';
import { countStoredBytes, overQuota } from './file-quota.ts';

/**
 * The maximum numbers of concurrent requests that upload files to this node. A browser sends six requests at a time,
 * and a whole office may share one address.
 */
export const maxArriving = { perPerson: 32, perAddress: 200, inAll: 1_000 };

/**
 * As long as a user's uploads in progress do not exceed this number of bytes, the server does not check how much the
 * user has stored. `add_files` checks this in any case.
 */
const uncountedBytes = 64 * 1024;

const retryAfterSeconds = 5;

/** The uploads of one user: the number of requests, and the number of bytes to keep free for them. */
type Share = { count: number; bytes: number };

/**
 * The user who sends files, the user's network address, and the declared size of the request, which is null if the
 * request declares none.
 */
export type Sender = { asker: Asker; address: string; declaredBytes: number | null };

/**
 * The requests that are uploading files right now. From the start, each request counts towards the limits of its user,
 * its address and this node. Its bytes count towards the user's quota even before they become a file. Many unfinished
 * uploads therefore cannot use more space than finished ones.
 */
export class Arrivals {
  readonly #client: Queryable;
  readonly #quotaBytes: number;
  readonly #metrics: Metrics;
  readonly #people = new Map<bigint, Share>();
  readonly #addresses = new Map<string, number>();
  #count = 0;

  constructor(client: Queryable, quotaBytes: number, metrics: Metrics = noMetrics) {
    this.#metrics = metrics;
    this.#client = client;
    this.#quotaBytes = quotaBytes;
  }

  /**
   * Creates an arrival and runs `work` with it. The arrival ends when `work` settles. Throws RateLimited if the user,
   * the address or the node already has too many uploads, and TooLarge if the declared size exceeds the rest of the
   * user's quota.
   */
  async during<Result>(sender: Sender, work: (arrival: Arrival) => Promise<Result>): Promise<Result> {
    const { asker, address, declaredBytes } = sender;
    const share = this.#enter(asker, address);
    const arrival = new Arrival({ asker, address }, share, { quotaBytes: this.#quotaBytes, client: this.#client });
    try {
      if (declaredBytes !== null) await arrival.reserve(declaredBytes);
      const result = await work(arrival);
      this.#metrics.count('uploads', { outcome: 'completed' });
      return result;
    } catch (error) {
      this.#metrics.count('uploads', { outcome: 'failed' });
      throw error;
    } finally {
      this.#metrics.count('uploadBytes', {}, arrival.received);
      arrival.end();
      this.#leave(asker, address);
    }
  }

  #enter({ kind, userId }: Asker, address: string): Share {
    const share = this.#people.get(userId) ?? { count: 0, bytes: 0 };
    const ofAddress = this.#addresses.get(address) ?? 0;
    refuseFrom(share.count, maxArriving.perPerson, 'You are');
    // Uploads by programs are counted per user, never per address.
    if (kind !== 'KEY') refuseFrom(ofAddress, maxArriving.perAddress, 'Your network is');
    refuseFrom(this.#count, maxArriving.inAll, 'Other users are');
    share.count += 1;
    this.#people.set(userId, share);
    if (kind !== 'KEY') this.#addresses.set(address, ofAddress + 1);
    this.#count += 1;
    return share;
  }

  #leave({ kind, userId }: Asker, address: string): void {
    const share = this.#people.get(userId);
    if (share !== undefined && (share.count -= 1) === 0) this.#people.delete(userId);
    this.#count -= 1;
    if (kind === 'KEY') return;
    const ofAddress = (this.#addresses.get(address) ?? 0) - 1;
    if (ofAddress > 0) this.#addresses.set(address, ofAddress);
    else this.#addresses.delete(address);
  }
}

function refuseFrom(count: number, limit: number, who: string): void {
  if (count < limit) return;
  throw new RateLimited(`${who} already sending ${limit} uploads: wait until one is complete.`, retryAfterSeconds);
}

/** One request that uploads files. */
export class Arrival {
  readonly asker: Asker;
  readonly address: string;
  readonly #share: Share;
  readonly #quota: { quotaBytes: number; client: Queryable };
  #received = 0;
  /**
   * The number of bytes that this request adds to the user's share: the reserved bytes, or the received bytes if there
   * are more of those.
   */
  #held = 0;
  #left: number | null = null;

  constructor(
    { asker, address }: Pick<Sender, 'asker' | 'address'>,
    share: Share,
    quota: { quotaBytes: number; client: Queryable },
  ) {
    this.asker = asker;
    this.address = address;
    this.#share = share;
    this.#quota = quota;
  }

  /** How many bytes have been received. */
  get received(): number {
    return this.#received;
  }

  /**
   * Reserves room for a request that declares its size. Throws TooLarge if the remaining quota is too small. The
   * declared size includes the data around the files, which is not counted separately. Therefore, slightly less than
   * the declared size is reserved.
   */
  async reserve(declaredBytes: number): Promise<void> {
    await this.#hold(declaredBytes - uncountedBytes);
  }

  /**
   * Adds `bytes` to the number of received bytes. Throws TooLarge if the received bytes exceed the rest of the quota.
   */
  async take(bytes: number): Promise<void> {
    this.#received += bytes;
    await this.#hold(this.#received);
  }

  /** Releases the reserved bytes, because no more data will arrive with this request. */
  end(): void {
    this.#share.bytes -= this.#held;
    this.#held = 0;
  }

  async #hold(bytes: number): Promise<void> {
    if (bytes <= this.#held) return;
    // The bytes are added before the check, so that concurrent requests include them in their own checks.
    const together = (this.#share.bytes += bytes - this.#held);
    this.#held = bytes;
    if (together <= uncountedBytes) return;
    const { quotaBytes, client } = this.#quota;
    this.#left ??= quotaBytes - (await countStoredBytes(client, this.asker));
    if (together > this.#left) throw overQuota(quotaBytes);
  }
}
