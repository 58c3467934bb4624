import type { Report } from '../../core/report.ts';
import type { LoggedEvent } from '../../log/event.ts';
import type { Passage } from '../../log/feed-part.ts';
import type { Lease, Leases, LeaseTimes } from '../../postgres/lease.ts';
import type { Channels } from '../../redis/channels.ts';
import { headerChannel, shardChannel } from './channel-name.ts';
import { rowsOf, type ReadForAll } from './read-for-all.ts';
import { encodeHeader, encodeNotice, encodePiece, type Notice } from './wire.ts';
import { shardOfEvent } from './shard.ts';

const leaseName = 'log-publisher';
/**
 * In ms. `lease`: how long the lease of a dead publisher prevents others from taking over, and how often a live
 * publisher renews it. `poll`: how often a node checks whether there is a publisher. `silence`: how long a node must
 * hear nothing from a publisher before it competes for the role. `rest`: the maximum time for which a node that failed
 * to publish lets others try. `answer`: how long Redis may take to confirm a message.
 */
const times = {
  lease: { expiry: 2_000, renewal: 500 } satisfies LeaseTimes,
  poll: 250,
  silence: 1_000,
  rest: 4_000,
  answer: 1_000,
};
/** How often a publisher that has nothing new to publish announces that the log has not changed, in ms. */
const heartbeatMs = 700;
/** The maximum number of characters that may be on their way to Redis at a time. */
const maxUnsent = 8 * 1024 * 1024;

/** What a node needs in order to publish the log to other nodes. */
export type PublisherOptions = {
  channels: Channels;
  leases: Leases;
  report: Report;
  epoch: () => string;
  /** How long ago this node last received something from a publisher, in ms. */
  silentMs: () => number;
  /** Called when this node becomes the publisher, and when it stops being the publisher. */
  onChange: (isPublisher: boolean) => void;
};

/**
 * Publishes the log to all nodes while this node is the publisher. All nodes that do not hear from a publisher compete
 * for this role, and a lease decides which of them gets it. Two nodes may publish at once if one of them does not yet
 * know that it has lost the lease. This does no harm, because both publish the same log.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  #lease: Lease | null = null;
  #unsent = 0;
  #publishedAt = -Infinity;
  #noticeCount = 0;
  /** The messages that Redis has not confirmed yet, oldest first, and whether Redis has refused any message. */
  readonly #pending = new Set<{ sentAt: number }>();
  #hasFailed = false;
  #isClosed = false;
  #wake: () => void = () => undefined;
  #done: Promise<void> = Promise.resolve();

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  get isOn(): boolean {
    return this.#lease !== null;
  }

  open(): void {
    this.#done = this.#run();
  }

  /** Gives up the role, so that another node can take over at once. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
    await this.#done;
  }

  /** Publishes a stretch of the log. Nodes that miss this stretch read the log instead. */
  publish({ events, after, through, isEnd, readAt }: Passage, { known, rows }: ReadForAll): void {
    const now = performance.now();
    if (this.#lease === null || this.#unsent > maxUnsent) return;
    if (events.length === 0 && now - this.#publishedAt < heartbeatMs) return;
    this.#publishedAt = now;
    const { token: term } = this.#lease;
    const noticeCount = this.#noticeCount;
    const epoch = this.#options.epoch();
    const shards = Map.groupBy(events, shardOfEvent);
    const forAll = shards.get(null) ?? [];
    shards.delete(null);
    const pieces = shards as Map<number, LoggedEvent[]>;
    for (const [shard, part] of pieces) {
      const piece = { term, through, events: part, rows: rowsOf(part, rows) };
      this.#send(shardChannel(epoch, shard), encodePiece(piece));
    }
    const header = {
      term,
      after,
      through,
      isEnd,
      readAt,
      shards: [...pieces.keys()],
      events: forAll,
      known,
      noticeCount,
    };
    this.#send(headerChannel(epoch), encodeHeader(header));
  }

  /**
   * Passes a notification on to the other nodes. Nodes that miss it learn from the next message that they have missed a
   * notification.
   */
  notify(notice: Pick<Notice, 'place' | 'channel' | 'payload'>): void {
    if (this.#lease === null) return;
    this.#noticeCount += 1;
    if (this.#unsent > maxUnsent) return;
    const message = encodeNotice({ ...notice, term: this.#lease.token, number: this.#noticeCount });
    this.#send(headerChannel(this.#options.epoch()), message);
  }

  /** Call this when notifications may have been lost; the next message then tells the other nodes about the gap. */
  noteGap(): void {
    this.#noticeCount += 1;
  }

  #send(channel: string, message: string): void {
    const pending = { sentAt: performance.now() };
    this.#pending.add(pending);
    this.#unsent += message.length;
    const settle = () => {
      this.#pending.delete(pending);
      this.#unsent -= message.length;
    };
    this.#options.channels.publish(channel, message).then(settle, () => {
      settle();
      this.#hasFailed = true;
    });
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const lease = await this.#stand();
      if (lease !== null) await this.#serve(lease);
      await this.#sleep(times.poll);
    }
  }

  async #stand(): Promise<Lease | null> {
    const { channels, leases, silentMs } = this.#options;
    if (!channels.isConnected || silentMs() < times.silence) return null;
    // If the database does not answer, the feed reports the failure, so this method does not.
    return leases.take({ name: leaseName, times: times.lease }).catch(() => null);
  }

  async #serve(lease: Lease): Promise<void> {
    const { report, onChange } = this.#options;
    [this.#lease, this.#hasFailed, this.#noticeCount] = [lease, false, 0];
    const wake = () => this.#wake();
    lease.signal.addEventListener('abort', wake, { once: true });
    report('info', 'this node now publishes the event log to the other nodes');
    onChange(true);
    while (!this.#isClosed && !lease.signal.aborted && this.#canPublish()) await this.#sleep(times.poll);
    const mustRest = !this.#canPublish();
    this.#lease = null;
    onChange(false);
    if (!this.#isClosed) report('info', 'this node no longer publishes the event log');
    await lease.release();
    // Another node may have a better connection to Redis, so let it try.
    if (mustRest) await this.#sleep(times.rest * (0.5 + Math.random() / 2));
  }

  #canPublish(): boolean {
    const [oldest] = this.#pending;
    const isStuck = oldest !== undefined && performance.now() - oldest.sentAt > times.answer;
    return this.#options.channels.isConnected && !this.#hasFailed && !isStuck;
  }

  #sleep(ms: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#wake = done;
    });
  }
}
