import type { Broadcasted } from '../../log/feed-part.ts';
import type { HubBatch } from '../hub-log.ts';
import type { Interest } from './interest.ts';
import type { Channels, Subscription } from '../../redis/channels.ts';
import { headerChannel, shardChannel } from './channel-name.ts';
import { Inbox, type ReceivedHeader } from './inbox.ts';
import { NoticeCounter } from './notice-counter.ts';
import { shardCount } from './shard.ts';
import { decodeNotice, type Notice } from './wire.ts';

/** How long a piece may arrive after its header, in ms, because the two may take different routes through a cluster. */
const patienceMs = 150;
/** How long a node stays subscribed to a shard that no longer concerns it, in ms, because its users often come back. */
const lingerMs = 30_000;

/** What a node needs in order to receive the log from the publisher. */
export type ReceptionOptions = {
  channels: Channels;
  /** The shards that concern this node. */
  interest: Interest;
  /** Passes a batch on, in the same way as Hub.publish. */
  pass: (batch: HubBatch) => Promise<boolean>;
  /** Called when a message has arrived. */
  onNews: () => void;
  /** Called with each notice from the publisher. */
  onNotice: (notice: Notice) => void;
  /** Called when notices were lost. */
  onGap: () => void;
};

/**
 * The receiving side of the broadcast: subscribes to the shards that concern this node's users, and passes the events
 * of these shards on to the hub, in order.
 */
export class Reception {
  readonly #options: ReceptionOptions;
  readonly #inbox = new Inbox();
  readonly #notices = new NoticeCounter();
  #epoch = '';
  #headers: Subscription | null = null;
  readonly #shards = new Map<number, Subscription>();
  readonly #leaving = new Map<number, NodeJS.Timeout>();
  /** True while this node is the publisher, which needs no messages from the broadcast. */
  isDeaf = false;

  constructor(options: ReceptionOptions) {
    this.#options = options;
    options.interest.onChange = (shard) => this.#adjust(shard);
  }

  /** How long ago the last message from a publisher arrived, in ms. */
  get silentMs(): number {
    return performance.now() - this.#inbox.heardAt;
  }

  /**
   * Starts to receive the broadcast of the log with this epoch, and stops receiving the broadcast of any other epoch.
   */
  follow(epoch: string): void {
    this.close();
    this.#epoch = epoch;
    this.#headers = this.#options.channels.subscribe(headerChannel(epoch), (message) =>
      this.#receive(() => this.#receiveForAll(message)),
    );
    for (let shard = 0; shard < shardCount; shard += 1) this.#adjust(shard);
  }

  /** Passes the next batch on to the hub, if everything that concerns this node has arrived. */
  async pass(position: bigint): Promise<Broadcasted> {
    this.#inbox.settle(position);
    const header = this.#inbox.next(position);
    if (header === null) return { state: 'SILENT' };
    if (header.after > position) return { state: 'INCOMPLETE' };
    const { interest, pass } = this.#options;
    const lacking = this.#inbox.lacking(header);
    const needed = lacking.filter((shard) => interest.has(shard));
    if (needed.length > 0) return this.#await(header, needed);
    const there = header.shards.filter((shard) => !lacking.includes(shard));
    const events = this.#inbox.eventsOf(header, position, there);
    if (events === null) return { state: 'INCOMPLETE' };
    const { through, known } = header;
    if (!(await pass({ events, through, known, lacking }))) return { state: 'INCOMPLETE' };
    this.#inbox.drop(header);
    return { state: 'PASSED', through, endedAt: header.isEnd ? header.receivedAt - header.excessMs : null };
  }

  /** Drops all messages that have arrived. */
  forget(): void {
    this.#inbox.clear();
  }

  close(): void {
    this.#inbox.clear();
    this.#headers?.close();
    for (const subscription of this.#shards.values()) subscription.close();
    this.#shards.clear();
    for (const timer of this.#leaving.values()) clearTimeout(timer);
    this.#leaving.clear();
  }

  /** A piece can be expected only if this node had subscribed to the shard before the header arrived. */
  #await({ receivedAt }: ReceivedHeader, shards: readonly number[]): Broadcasted {
    const ms = receivedAt + patienceMs - performance.now();
    const canCome = shards.every((shard) => (this.#shards.get(shard)?.since ?? Infinity) < receivedAt);
    return canCome && ms > 0 ? { state: 'WAITING', ms } : { state: 'INCOMPLETE' };
  }

  #adjust(shard: number): void {
    const isWanted = this.#options.interest.has(shard);
    const timer = this.#leaving.get(shard);
    if (timer !== undefined) {
      clearTimeout(timer);
      this.#leaving.delete(shard);
    }
    const subscription = this.#shards.get(shard);
    if (isWanted && subscription === undefined) this.#subscribe(shard);
    if (isWanted || subscription === undefined) return;
    const leave = () => {
      this.#leaving.delete(shard);
      this.#shards.delete(shard);
      subscription.close();
    };
    this.#leaving.set(shard, setTimeout(leave, lingerMs).unref());
  }

  #subscribe(shard: number): void {
    if (this.#epoch === '') return;
    const subscription = this.#options.channels.subscribe(shardChannel(this.#epoch, shard), (message) =>
      this.#receive(() => this.#inbox.addPiece(shard, message)),
    );
    this.#shards.set(shard, subscription);
  }

  #receiveForAll(message: string): void {
    const { onNotice, onGap } = this.#options;
    const notice = decodeNotice(message);
    if (notice === null) {
      const header = this.#inbox.addHeader(message);
      if (header !== null && !this.#notices.hasAll(header.term, header.noticeCount)) onGap();
      return;
    }
    const order = this.#notices.receive(notice.term, notice.number);
    if (order === 'AFTER_GAP') onGap();
    if (order !== 'OLD') onNotice(notice);
  }

  #receive(add: () => void): void {
    if (this.isDeaf) return;
    add();
    this.#options.onNews();
  }
}
