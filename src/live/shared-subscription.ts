import { askerKey, sessionKey, type Caller } from '../core/asker.ts';
import type { Metrics } from '../core/metric.ts';
import type { Report } from '../core/report.ts';
import type { LoggedEvent } from '../log/event.ts';
import { letLag, send, type Delivery, type Receiver, type Rendering } from './delivery.ts';
import type { EventRenderer } from './event-renderer.ts';
import type { EventTraces } from './event-trace.ts';
import { Holders } from './holder.ts';
import type { EndReason, Listener, Outlet } from './listener.ts';
import type { PresenceChange, StreamNotice, Typing } from './notice.ts';
import type { Outdated } from './outdated.ts';
import { cut, sliceSize, type RenderTurns } from './render-turn.ts';
import { SliceLoaders } from './slice-loaders.ts';
import { SegmentRenderer } from './segment-renderer.ts';
import { SharedRenderer, type Renderable, type Rest } from './shared-renderer.ts';

/** How many events of one document are rendered concurrently, if they cost little. */
const maxConcurrentExecutions = 64;
/**
 * How many items may wait for a document that falls behind the log; beyond that number, its receivers resume from the
 * log.
 */
const maxWaiting = 2_000;

/** An item that is waiting to be sent; items are sent in the order in which they arrived from the hub. */
type Item = Renderable | { tell: () => void };

/** Items that are rendered together, and the delivery for each item. */
type Slice = { items: readonly Item[]; deliveries: Delivery[]; startedAt: number; renderedAt: number };

/** The settings and dependencies of a subscription that many streams share. */
export type SharedSubscriptionOptions = {
  epoch: () => string;
  report: Report;
  metrics: Metrics;
  traces: EventTraces | null;
  outdated: Outdated;
  turns: RenderTurns;
};

/**
 * All subscriptions with the same results. It is the outlet through which the hub reaches them in order. Different
 * shared subscriptions do not wait for each other, so a document that fails or is slow does not delay any other
 * document.
 */
export class SharedSubscription implements Outlet {
  readonly key: string;
  readonly wantsPresence: boolean;
  readonly #options: SharedSubscriptionOptions;
  readonly holders: Holders;
  /** Renders what subscribers missed, bypassing the queue. */
  readonly segments: SegmentRenderer;
  readonly #renderer: SharedRenderer;
  #queue: Item[] = [];
  #isPumping = false;

  constructor(
    key: string,
    createRenderer: (isWanted: () => boolean) => EventRenderer,
    options: SharedSubscriptionOptions,
  ) {
    this.key = key;
    this.#options = options;
    this.#renderer = new SharedRenderer(
      createRenderer(() => this.holders.count > 0),
      options,
    );
    this.segments = new SegmentRenderer(this.#renderer, options.turns);
    this.holders = new Holders(this.#renderer.cost.complexity);
    this.wantsPresence = this.#renderer.wantsPresence;
  }

  /** Drops all renderings. */
  clear(): void {
    this.#renderer.clear();
    this.segments.clear();
  }

  publish(event: LoggedEvent, listeners: readonly Listener[]): void {
    if (this.#queue.length >= maxWaiting) this.#leaveToLog();
    // Every listener of this outlet joined it as a receiver.
    this.#enqueue({ event, edition: this.#options.outdated.edition, receivers: listeners as readonly Receiver[] });
  }

  publishTyping(typing: Typing, listeners: readonly Listener[]): void {
    if (this.#queue.length >= maxWaiting) return;
    this.#enqueue({ transient: { kind: 'Typing', ...typing }, receivers: listeners as readonly Receiver[] });
  }

  publishPresence(change: PresenceChange, listeners: readonly Listener[]): void {
    if (this.#queue.length >= maxWaiting) return letLag(listeners as readonly Receiver[]);
    this.#enqueue({ transient: { kind: 'PresenceChanged', ...change }, receivers: listeners as readonly Receiver[] });
  }

  end(listener: Listener, reason: EndReason, at: bigint): void {
    this.#enqueue({ tell: () => (listener as Receiver).finish(reason, at) });
  }

  interrupt(listener: Listener): void {
    // The interruption is immediate, because otherwise the items that are still waiting would be sent with cursors of
    // the new history, and the client would resume from there.
    (listener as Receiver).interrupt();
  }

  refresh(listeners: readonly Listener[], position: bigint): void {
    this.#enqueue({ caughtUpTo: position, receivers: listeners as readonly Receiver[] });
  }

  /** As in SharedRenderer. */
  renderNotice(notice: StreamNotice, id: bigint, asker: Caller): Promise<Rendering> {
    return this.#renderer.renderNotice(notice, id, asker);
  }

  #enqueue(item: Item): void {
    this.#queue.push(item);
    if (!this.#isPumping) void this.#pump();
  }

  /** Drops the waiting events, so that their receivers resume from the log. */
  #leaveToLog(): void {
    const audiences = new Set<readonly Receiver[]>();
    this.#queue = this.#queue.filter((item) => {
      if ('event' in item) audiences.add(item.receivers);
      return !('event' in item);
    });
    letLag(new Set([...audiences].flat()));
  }

  /** Renders the waiting items one slice at a time, and sends them in order. */
  async #pump(): Promise<void> {
    this.#isPumping = true;
    // The hub publishes a whole batch synchronously, so waiting for one tick lets the whole batch be sent together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const rest: Rest[] = [];
      const slice = await this.#inTurn(async () => {
        const prepared = await this.#prepareSlice(rest);
        if (rest.length === 0) this.#send(prepared);
        return prepared;
      });
      if (rest.length === 0) continue;
      await this.#renderRest(rest);
      this.#send(slice);
    }
    this.#isPumping = false;
  }

  /**
   * Runs the work in a turn that is charged to the one of the users sharing the document who has used the least time,
   * so that all of these users wait only as long as that user would.
   */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#options.turns.run(this.holders.userIds(), work);
  }

  async #prepareSlice(rest: Rest[]): Promise<Slice> {
    const items = this.#queue.splice(0, sliceSize(this.#renderer.cost, maxConcurrentExecutions));
    // Rows do not depend on the asker, so the loaders fetch the rows of all these events together.
    const parts = {
      loaders: new SliceLoaders(() => this.#renderer.newLoaders()),
      edition: this.#options.outdated.edition,
      rest,
    };
    const startedAt = Date.now();
    const deliveries = await Promise.all(
      items.map(async (item) => ('tell' in item ? item.tell : this.#renderer.prepare(item, parts))),
    );
    return { items, deliveries, startedAt, renderedAt: Date.now() };
  }

  /** Renders once for each user who lacks a result, and then once for each session that still lacks one. */
  async #renderRest(rest: readonly Rest[]): Promise<void> {
    for (const keyOf of [askerKey, sessionKey]) {
      const missing = rest.flatMap(({ lacking, render }) => lacking(keyOf).map((asker) => ({ render, asker })));
      for (const slice of cut(missing, sliceSize(this.#renderer.cost, maxConcurrentExecutions))) {
        await this.#inTurn(() => Promise.all(slice.map(({ render, asker }) => render(asker))));
      }
    }
  }

  #send(slice: Slice): void {
    try {
      send(slice.deliveries);
      this.#measure(slice);
    } catch (error) {
      this.#options.report('error', 'events could not be sent', { error });
    }
  }

  #measure({ items, deliveries, startedAt, renderedAt }: Slice): void {
    const { metrics, traces } = this.#options;
    const now = Date.now();
    let count = 0;
    for (const [index, item] of items.entries()) {
      if (!('event' in item) || deliveries[index] === null) continue;
      count += 1;
      traces?.deliver(item.event.id, { startedAt, renderedAt, sentAt: now, receivers: item.receivers.length });
      // The clock of PostgreSQL, which set `at`, may be ahead of the clock of this machine.
      metrics.observe('deliveryDelay', Math.max(0, now - item.event.at.getTime()) / 1000, {});
    }
    if (count > 0) metrics.observe('deliveryBatch', count, {});
  }
}
