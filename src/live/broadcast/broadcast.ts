import type { Report } from '../../core/report.ts';
import type { Broadcasted, FeedBroadcast, Passage } from '../../log/feed-part.ts';
import type { Leases } from '../../postgres/lease.ts';
import { Publisher } from './publisher.ts';
import type { ReadForAll } from './read-for-all.ts';
import { Reception, type ReceptionOptions } from './reception.ts';
import type { Notice } from './wire.ts';

/**
 * How long a node continues to listen to PostgreSQL after it has begun to rely on the broadcast, in ms. The delay
 * prevents an intermittent broadcast from making the node start to listen again each time.
 */
const pauseAfterMs = 2_000;

/** The connection on which PostgreSQL notifies this node of new events and notices. */
export type Bell = { pause: () => void; resume: () => void; isOn: () => boolean };

/** `onNotice` and `onGap` are called only while this node does not listen to PostgreSQL. */
export type BroadcastOptions = ReceptionOptions & {
  leases: Leases;
  bell: Bell;
  report: Report;
  /** Called when the feed should read the log at once. */
  onDuty: () => void;
};

/**
 * The log through Redis: one node reads the log and publishes it to all nodes. A node that misses something reads the
 * log itself. The broadcast only saves statements and notifications, and nothing depends on it.
 */
export class Broadcast implements FeedBroadcast {
  readonly #options: BroadcastOptions;
  readonly #publisher: Publisher;
  readonly #reception: Reception;
  #epoch = '';
  #isRelied = false;
  #pausing: NodeJS.Timeout | null = null;

  constructor(options: BroadcastOptions) {
    this.#options = options;
    const { channels, leases, report, onDuty } = options;
    const { onNotice, onGap, bell } = options;
    this.#reception = new Reception({
      ...options,
      // While this node listens to PostgreSQL, it receives the notices directly from PostgreSQL.
      onNotice: (notice) => {
        if (!bell.isOn()) onNotice(notice);
      },
      onGap: () => {
        if (!bell.isOn()) onGap();
      },
    });
    this.#publisher = new Publisher({
      channels,
      leases,
      report,
      epoch: () => this.#epoch,
      silentMs: () => this.#reception.silentMs,
      onChange: (isPublisher) => {
        this.#reception.isDeaf = isPublisher;
        this.#adjustBell();
        onDuty();
      },
    });
  }

  /** Whether this node publishes the log; if so, `publish` needs the facts for all nodes. */
  get isPublishing(): boolean {
    return this.#publisher.isOn;
  }

  /** Starts competing for the role of publisher. */
  open(): void {
    this.#publisher.open();
  }

  async close(): Promise<void> {
    if (this.#pausing !== null) clearTimeout(this.#pausing);
    await this.#publisher.close();
    this.#reception.close();
  }

  /** Publishes what this node has read from the log, if this node is the publisher. */
  publish(passage: Passage, read: ReadForAll): void {
    this.#publisher.publish(passage, read);
  }

  /** Passes a PostgreSQL notification on to the other nodes, if this node is the publisher. */
  notify(notice: Pick<Notice, 'place' | 'channel' | 'payload'>): void {
    this.#publisher.notify(notice);
  }

  /** Call this when this node may have missed notifications from PostgreSQL. */
  noteGap(): void {
    this.#publisher.noteGap();
  }

  pass(position: bigint): Promise<Broadcasted> {
    return this.isPublishing ? Promise.resolve({ state: 'OFF' }) : this.#reception.pass(position);
  }

  forget(): void {
    this.#reception.forget();
  }

  follow(epoch: string): void {
    this.#epoch = epoch;
    this.#reception.follow(epoch);
  }

  onReliance(isRelied: boolean): void {
    this.#isRelied = isRelied;
    this.#adjustBell();
  }

  isBellOn(): boolean {
    return this.#options.bell.isOn();
  }

  #adjustBell(): void {
    if (this.#pausing !== null) clearTimeout(this.#pausing);
    this.#pausing = null;
    const { bell } = this.#options;
    if (this.#isRelied && !this.isPublishing) this.#pausing = setTimeout(() => bell.pause(), pauseAfterMs).unref();
    else bell.resume();
  }
}
