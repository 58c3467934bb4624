import { randomUUID } from 'node:crypto';
import { askerKey, sessionKey, type Asker } from '../core/asker.ts';
import type { Report } from '../core/report.ts';
import { formatCursor } from '../log/cursor.ts';
import type { LoggedEvent } from '../log/event.ts';
import type { Loaders } from '../postgres/loader.ts';
import { mayReceive, ResultsByAudience } from './audience.ts';
import { letLag, send, type Batch, type Delivery, type Receiver, type Rendering } from './delivery.ts';
import type { EventRenderer, RenderedEvent } from './event-renderer.ts';
import { Holders } from './holder.ts';
import type { EndReason, Listener, Outlet } from './listener.ts';
import type { PresenceChange, StreamNotice, Transient, Typing } from './notice.ts';
import { RecentRenderings } from './recent-rendering.ts';
import { cut, sliceSize, type RenderTurns } from './render-turn.ts';

/** How many events of one document are executed concurrently, if they cost little. */
const maxConcurrentExecutions = 64;
/** How many items may wait for a document that is slower than the log; past this, its receivers resume from the log. */
const maxWaiting = 2_000;

/** The items that wait to go out, in the order in which they came from the hub. */
type Item =
  | { event: LoggedEvent; receivers: readonly Receiver[] }
  | { transient: Transient; receivers: readonly Receiver[] }
  | { caughtUpTo: bigint; receivers: readonly Receiver[] }
  | { tell: () => void };

/**
 * The results of one item that are still missing, because they differ from asker to asker. `render` never rejects.
 */
type Rest = {
  lacking: (keyOf: (asker: Asker) => string) => Asker[];
  render: (asker: Asker) => Promise<void>;
};

/** The loaders for the items of one slice, and a list of what is left to do afterwards. */
type SliceParts = { loaders: Loaders; rest: Rest[] };

export type SharedSubscriptionOptions = { epoch: () => string; report: Report; turns: RenderTurns };

/** In the payload of a notice that is not kept, marks where each stream inserts its own cursor. */
const cursorPlaceholder = randomUUID();

/**
 * All subscriptions with the same results: the outlet through which the hub reaches them in order. Different shared
 * subscriptions do not wait for each other, so a document that fails or is slow delays no other.
 */
export class SharedSubscription implements Outlet {
  readonly key: string;
  readonly wantsPresence: boolean;
  readonly #options: SharedSubscriptionOptions;
  readonly holders: Holders;
  readonly #renderer: EventRenderer;
  readonly #recent = new RecentRenderings();
  #queue: Item[] = [];
  #isPumping = false;

  constructor(
    key: string,
    createRenderer: (isWanted: () => boolean) => EventRenderer,
    options: SharedSubscriptionOptions,
  ) {
    this.key = key;
    this.#options = options;
    this.#renderer = createRenderer(() => this.holders.count > 0);
    this.holders = new Holders(this.#renderer.cost.complexity);
    this.wantsPresence = this.#renderer.wantsPresence;
  }

  publish(event: LoggedEvent, listeners: readonly Listener[]): void {
    // Earlier renderings of a changed message must not be shown again, not even by a replay that overtakes the queue.
    if (event.kind === 'MessageEdited' || event.kind === 'MessageDeleted') this.#recent.clear();
    if (this.#queue.length >= maxWaiting) this.#leaveToLog();
    // Every listener of this outlet joined it as a receiver.
    this.#enqueue({ event, receivers: listeners as readonly Receiver[] });
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
    // In another history, the same id is another event.
    this.#recent.clear();
    // At once: what still waits would go out with cursors of the new history, and the client would resume from there.
    (listener as Receiver).interrupt();
  }

  refresh(listeners: readonly Listener[], position: bigint): void {
    this.#enqueue({ caughtUpTo: position, receivers: listeners as readonly Receiver[] });
  }

  /** Cuts events into slices for `render`. */
  slice(events: readonly LoggedEvent[]): Iterable<LoggedEvent[]> {
    return cut(events, sliceSize(this.#renderer.cost, events.length));
  }

  /**
   * Renders a slice of events as this asker may see them, in a turn of the asker; leaves out those with nothing to
   * show. For replays: it bypasses the queue.
   */
  async render(slice: readonly LoggedEvent[], asker: Asker, loaders: Loaders): Promise<Rendering[]> {
    const outcomes = await this.#options.turns.run([asker.userId], () =>
      Promise.all(
        slice.map(async (event) => {
          const outcome = await this.#share(event, asker, loaders);
          return outcome && this.#toRendering(event.id, outcome.payload);
        }),
      ),
    );
    return outcomes.filter((rendering) => rendering !== null);
  }

  /**
   * Renders a notice for this stream alone (CaughtUp, Reset), at the place of event `id`. Rejects when the database is
   * unavailable.
   */
  async renderNotice(notice: StreamNotice, id: bigint, asker: Asker): Promise<Rendering> {
    const head = { cursor: this.#cursorOf(id), at: new Date() };
    const loaders = this.#renderer.newLoaders();
    const { payload } = await this.#renderer.renderNotice(notice, head, { asker, loaders });
    return this.#toRendering(id, payload);
  }

  /** Loaders for one stretch of a replay. */
  newLoaders(): Loaders {
    return this.#renderer.newLoaders();
  }

  #enqueue(item: Item): void {
    this.#queue.push(item);
    if (!this.#isPumping) void this.#pump();
  }

  /** Drops the waiting events; their receivers resume from the log. */
  #leaveToLog(): void {
    const audiences = new Set<readonly Receiver[]>();
    this.#queue = this.#queue.filter((item) => {
      if ('event' in item) audiences.add(item.receivers);
      return !('event' in item);
    });
    letLag(new Set([...audiences].flat()));
  }

  /** Renders the waiting items a slice at a time, and sends them in order. */
  async #pump(): Promise<void> {
    this.#isPumping = true;
    // The hub publishes a whole batch in this turn: waiting a tick lets all of it go out together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const rest: Rest[] = [];
      const deliveries = await this.#inTurn(async () => {
        const prepared = await this.#prepareSlice(rest);
        if (rest.length === 0) this.#send(prepared);
        return prepared;
      });
      if (rest.length === 0) continue;
      await this.#renderRest(rest);
      this.#send(deliveries);
    }
    this.#isPumping = false;
  }

  /** The turn is charged to the user who has used the least, so all users who share it wait as little as that one. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#options.turns.run(this.holders.userIds(), work);
  }

  #prepareSlice(rest: Rest[]): Promise<Delivery[]> {
    const items = this.#queue.splice(0, sliceSize(this.#renderer.cost, maxConcurrentExecutions));
    // Rows do not depend on the asker: one set of loaders fetches the rows of all these events together.
    const parts = { loaders: this.#renderer.newLoaders(), rest };
    return Promise.all(items.map((item) => this.#prepare(item, parts)));
  }

  /** Renders for each user who lacks a result, and then for each session that does. */
  async #renderRest(rest: readonly Rest[]): Promise<void> {
    for (const keyOf of [askerKey, sessionKey]) {
      const missing = rest.flatMap(({ lacking, render }) => lacking(keyOf).map((asker) => ({ render, asker })));
      for (const slice of cut(missing, sliceSize(this.#renderer.cost, maxConcurrentExecutions))) {
        await this.#inTurn(() => Promise.all(slice.map(({ render, asker }) => render(asker))));
      }
    }
  }

  #send(deliveries: readonly Delivery[]): void {
    try {
      send(deliveries);
    } catch (error) {
      this.#options.report('error', 'events could not be sent', { error });
    }
  }

  /** Never rejects: a rejection would stop the queue for good. */
  async #prepare(item: Item, parts: SliceParts): Promise<Delivery> {
    if ('tell' in item) return item.tell;
    if ('event' in item) return this.#prepareEvent(item.event, item.receivers, parts);
    try {
      return 'transient' in item
        ? await this.#prepareTransient(item, parts)
        : await this.#prepareRefresh(item, parts.loaders);
    } catch (error) {
      this.#reportLoss(error);
      return () => {
        if ('transient' in item && item.transient.kind === 'PresenceChanged') letLag(item.receivers);
      };
    }
  }

  readonly #reportLoss = (error: unknown) => this.#options.report('warn', 'a notice was left out', { error });

  /** Prepares one result for all receivers, or one for each user or session that the execution depended on. */
  async #prepareEvent(event: LoggedEvent, receivers: readonly Receiver[], parts: SliceParts): Promise<Delivery> {
    const { loaders, rest } = parts;
    const prober = receivers.find(({ isReceiving }) => isReceiving);
    if (prober === undefined) return null;
    const probe = await this.#share(event, prober.asker, loaders);
    if (probe === null) return null;
    if (probe.personalTo === null) return { receivers, rendering: this.#toRendering(event.id, probe.payload) };
    const askers = receivers.filter(({ isReceiving }) => isReceiving).map(({ asker }) => asker);
    const batches = new ResultsByAudience<Batch>();
    batches.add(probe.personalTo, this.#toBatch(event.id, probe.payload));
    const lacking: Rest['lacking'] = (keyOf) => batches.lacking(askers, keyOf);
    const render = async (asker: Asker) => {
      const outcome = await this.#render(event, asker, loaders);
      if (outcome === null) return;
      // The first rendering was personal. A later one that is not personal has failed or came after a change: it must
      // not be shared.
      batches.add(outcome.personalTo ?? askerKey(asker), this.#toBatch(event.id, outcome.payload));
    };
    if (lacking(askerKey).length > 0) rest.push({ lacking, render });
    return () => {
      for (const receiver of receivers) {
        const batch = batches.find(receiver.asker);
        if (batch !== undefined) receiver.receive(batch);
      }
    };
  }

  /** Prepares renderings as for an event, around the cursor that each stream inserts. */
  async #prepareTransient(
    { transient, receivers }: { transient: Transient; receivers: readonly Receiver[] },
    { loaders, rest }: SliceParts,
  ): Promise<Delivery> {
    const head = { cursor: cursorPlaceholder, at: new Date() };
    const results = new ResultsByAudience<string[]>();
    const render = async (asker: Asker) => {
      const { payload, personalTo } = await this.#renderer.renderNotice(transient, head, { asker, loaders });
      results.add(personalTo, payload.split(cursorPlaceholder));
    };
    const askers = receivers.map(({ asker }) => asker);
    const [prober] = askers;
    if (prober === undefined) return null;
    await render(prober);
    const lacking: Rest['lacking'] = (keyOf) => results.lacking(askers, keyOf);
    if (lacking(askerKey).length > 0) rest.push({ lacking, render: (asker) => render(asker).catch(this.#reportLoss) });
    return () => {
      for (const receiver of receivers) {
        const pieces = results.find(receiver.asker);
        if (pieces === undefined) {
          if (transient.kind === 'PresenceChanged') receiver.lag();
          continue;
        }
        receiver.receiveTransient((cursor) => pieces.join(cursor), { isToldOfLoss: transient.kind !== 'Typing' });
      }
    };
  }

  async #prepareRefresh(
    { caughtUpTo, receivers }: { caughtUpTo: bigint; receivers: readonly Receiver[] },
    loaders: Loaders,
  ): Promise<Delivery> {
    const asker = receivers[0]?.asker;
    if (asker === undefined) return null;
    const head = { cursor: this.#cursorOf(caughtUpTo), at: new Date() };
    const { payload } = await this.#renderer.renderNotice({ kind: 'CaughtUp', replayed: 0 }, head, { asker, loaders });
    const batch: Batch = { ...this.#toBatch(caughtUpTo, payload), isNotice: true };
    return () => {
      for (const receiver of receivers) receiver.receive(batch);
    };
  }

  /** Returns the cached rendering, unless it is personal to another user or session. */
  async #share(event: LoggedEvent, asker: Asker, loaders: Loaders): Promise<RenderedEvent | null> {
    const known = this.#recent.get(event.id);
    const outcome = known ?? this.#render(event, asker, loaders);
    if (known === undefined) this.#recent.add(event.id, outcome);
    const shared = await outcome;
    const isOthers = shared !== null && !mayReceive(asker, shared.personalTo);
    return isOthers ? this.#render(event, asker, loaders) : shared;
  }

  #render(event: LoggedEvent, asker: Asker, loaders: Loaders): Promise<RenderedEvent | null> {
    const head = { cursor: this.#cursorOf(event.id), at: event.at };
    return this.#renderer.render(event, head, { asker, loaders });
  }

  #toBatch(eventId: bigint, payload: string): Batch {
    return { renderings: [this.#toRendering(eventId, payload)], encodings: new Map() };
  }

  #toRendering(eventId: bigint, payload: string): Rendering {
    return { eventId, cursor: this.#cursorOf(eventId), payload };
  }

  #cursorOf(id: bigint): string {
    return formatCursor({ epoch: this.#options.epoch(), id });
  }
}
