import { randomUUID } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Viewer } from '../domain/viewer.ts';
import { formatCursor } from '../realtime/cursor.ts';
import type { LoggedEvent } from '../realtime/event.ts';
import type { Channel, EndReason, Listener } from '../realtime/listener.ts';
import type { PresenceChange } from '../realtime/presence.ts';
import { letLag, send, type Batch, type Delivery, type Receiver, type Rendering } from './delivery.ts';
import { asksForType } from './document.ts';
import type { EventValue } from './event-subject.ts';
import { createLoaders, type Loaders } from './loaders.ts';
import { Renderer, type Outcome, type RendererOptions } from './renderer.ts';

/** How many events of one document are executed side by side. */
const maxConcurrentExecutions = 64;
/** How much may wait for a document that is slower than the log; past it, its receivers go on by themselves. */
const maxWaiting = 2_000;
/** A rendering serves those who replay the same event shortly after each other (everyone, after a restart). */
const recentRenderings = { max: 500, ttlMs: 2_000 };

export type GroupOptions = Omit<RendererOptions, 'isWanted'> & { epoch: () => string };

/** What waits to go out, in the order in which the hub said it. */
type Item =
  | { event: LoggedEvent; receivers: readonly Receiver[] }
  | { transient: TransientValue; receivers: readonly Receiver[] }
  | { caughtUpTo: bigint; receivers: readonly Receiver[] }
  | { tell: () => void };

type TransientValue = Extract<EventValue, { kind: 'Typing' | 'PresenceChanged' }>;

/** Stands in the payload of what isn't kept where each stream puts its own cursor. */
const cursorPlaceholder = randomUUID();

/**
 * All subscriptions with the same results. It is the channel through which the hub reaches them, and keeps its order;
 * groups don't wait for each other, so one document that fails or is slow delays nobody else's.
 */
export class Group implements Channel {
  readonly key: string;
  readonly wantsPresence: boolean;
  /** How many subscriptions hold it. */
  size = 0;
  readonly #options: GroupOptions;
  readonly #renderer: Renderer;
  readonly #recent = new LRUCache<bigint, Promise<Outcome | null>>({
    max: recentRenderings.max,
    ttl: recentRenderings.ttlMs,
  });
  #queue: Item[] = [];
  #isPumping = false;

  constructor(key: string, options: GroupOptions) {
    this.key = key;
    this.#options = options;
    this.wantsPresence = asksForType(options.document, 'PresenceChanged');
    this.#renderer = new Renderer({ ...options, isWanted: () => this.size > 0 });
  }

  publish(event: LoggedEvent, listeners: readonly Listener[]): void {
    if (this.#queue.length >= maxWaiting) this.#leaveToLog();
    // Every listener of this channel was joined with it, as a receiver.
    this.#enqueue({ event, receivers: listeners as readonly Receiver[] });
  }

  publishTyping(typing: { chatId: bigint; userId: bigint }, listeners: readonly Listener[]): void {
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
    // In another history the same id is another event.
    this.#recent.clear();
    this.#enqueue({ tell: () => (listener as Receiver).interrupt() });
  }

  refresh(listeners: readonly Listener[], position: bigint): void {
    this.#enqueue({ caughtUpTo: position, receivers: listeners as readonly Receiver[] });
  }

  /** The event as this viewer may get it, or null when there is nothing to tell. For replays: it bypasses the queue. */
  async render(event: LoggedEvent, viewer: Viewer, loaders: Loaders): Promise<Rendering | null> {
    const outcome = await this.#share(event, viewer, loaders);
    return outcome && this.#toRendering(event.id, outcome.payload);
  }

  /** What only this stream is told (CaughtUp, Reset), at the place of event `id`. Rejects when the database is away. */
  async renderNotice(value: EventValue, id: bigint, viewer: Viewer): Promise<Rendering> {
    const place = { cursor: this.#cursorOf(id), at: new Date() };
    const loaders = createLoaders(this.#options.services.db);
    const { payload } = await this.#renderer.renderValue(value, place, { viewer, loaders });
    return this.#toRendering(id, payload);
  }

  #enqueue(item: Item): void {
    this.#queue.push(item);
    if (!this.#isPumping) void this.#pump();
  }

  /** Forgets the events that wait; whoever was to hear of them finds them in the log. */
  #leaveToLog(): void {
    const audiences = new Set<readonly Receiver[]>();
    this.#queue = this.#queue.filter((item) => {
      if ('event' in item) audiences.add(item.receivers);
      return !('event' in item);
    });
    letLag(new Set([...audiences].flat()));
  }

  /** Renders what waits side by side, and sends it in order. */
  async #pump(): Promise<void> {
    this.#isPumping = true;
    // What the hub says at this moment is all of a batch, and goes together from the first one on.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const items = this.#queue.splice(0, maxConcurrentExecutions);
      // Rows are nobody's in particular: one set of loaders fetches those of all these events together.
      const loaders = createLoaders(this.#options.services.db);
      const deliveries = await Promise.all(items.map((item) => this.#prepare(item, loaders)));
      try {
        send(deliveries);
      } catch (error) {
        this.#options.report('error', 'events could not be sent', { error });
      }
    }
    this.#isPumping = false;
  }

  /** Never rejects: one that did would keep the queue from ever going on. */
  async #prepare(item: Item, loaders: Loaders): Promise<Delivery> {
    if ('tell' in item) return item.tell;
    if ('event' in item) return this.#prepareEvent(item.event, item.receivers, loaders);
    try {
      return 'transient' in item
        ? await this.#prepareTransient(item, loaders)
        : await this.#prepareRefresh(item, loaders);
    } catch (error) {
      this.#options.report('warn', 'a notice was left out', { error });
      return () => {
        if ('transient' in item && item.transient.kind === 'PresenceChanged') letLag(item.receivers);
      };
    }
  }

  /** One outcome for all, or one for each viewer where the execution asked who that is. */
  async #prepareEvent(event: LoggedEvent, receivers: readonly Receiver[], loaders: Loaders): Promise<Delivery> {
    // What was rendered of a message that changes is not to be shown again.
    if (event.kind === 'MessageEdited' || event.kind === 'MessageDeleted') this.#recent.clear();
    const prober = receivers.find(({ isReceiving }) => isReceiving);
    if (prober === undefined) return null;
    const probe = await this.#share(event, prober.viewer, loaders);
    if (probe === null) return null;
    if (probe.personalTo === null) return { receivers, rendering: this.#toRendering(event.id, probe.payload) };
    const viewers = new Map<bigint, Viewer>();
    for (const { isReceiving, viewer } of receivers) if (isReceiving) viewers.set(viewer.userId, viewer);
    viewers.delete(prober.viewer.userId);
    const batches = await this.#renderEach(event, [...viewers.values()], loaders);
    batches.set(prober.viewer.userId, this.#toBatch(event.id, probe.payload));
    return () => {
      for (const receiver of receivers) {
        const batch = batches.get(receiver.viewer.userId);
        if (batch !== undefined) receiver.receive(batch);
      }
    };
  }

  async #renderEach(event: LoggedEvent, viewers: Viewer[], loaders: Loaders): Promise<Map<bigint, Batch>> {
    const batches = new Map<bigint, Batch>();
    while (viewers.length > 0) {
      await Promise.all(
        viewers.splice(0, maxConcurrentExecutions).map(async (viewer) => {
          const outcome = await this.#render(event, viewer, loaders);
          if (outcome !== null) batches.set(viewer.userId, this.#toBatch(event.id, outcome.payload));
        }),
      );
    }
    return batches;
  }

  /** One rendering for all, or one for each viewer, around the cursor that each stream puts in. */
  async #prepareTransient(
    { transient, receivers }: { transient: TransientValue; receivers: readonly Receiver[] },
    loaders: Loaders,
  ): Promise<Delivery> {
    const place = { cursor: cursorPlaceholder, at: new Date() };
    const render = async (viewer: Viewer) => {
      const { payload, personalTo } = await this.#renderer.renderValue(transient, place, { viewer, loaders });
      return { pieces: payload.split(cursorPlaceholder), personalTo };
    };
    const prober = receivers[0]?.viewer;
    if (prober === undefined) return null;
    const probe = await render(prober);
    const own = new Map([[prober.userId, probe]]);
    if (probe.personalTo !== null) {
      for (const { viewer } of receivers) if (!own.has(viewer.userId)) own.set(viewer.userId, await render(viewer));
    }
    return () => {
      for (const receiver of receivers) {
        const { pieces } = own.get(receiver.viewer.userId) ?? probe;
        receiver.receiveTransient((cursor) => pieces.join(cursor), { isToldOfLoss: transient.kind !== 'Typing' });
      }
    };
  }

  async #prepareRefresh(
    { caughtUpTo, receivers }: { caughtUpTo: bigint; receivers: readonly Receiver[] },
    loaders: Loaders,
  ): Promise<Delivery> {
    const viewer = receivers[0]?.viewer;
    if (viewer === undefined) return null;
    const place = { cursor: this.#cursorOf(caughtUpTo), at: new Date() };
    const { payload } = await this.#renderer.renderValue({ kind: 'CaughtUp', replayed: 0 }, place, { viewer, loaders });
    const batch: Batch = { ...this.#toBatch(caughtUpTo, payload), isNotice: true };
    return () => {
      for (const receiver of receivers) receiver.receive(batch);
    };
  }

  /** The outcome that is there already, unless it is somebody else's own. */
  async #share(event: LoggedEvent, viewer: Viewer, loaders: Loaders): Promise<Outcome | null> {
    const known = this.#recent.get(event.id);
    const outcome = known ?? this.#render(event, viewer, loaders);
    if (known === undefined) this.#recent.set(event.id, outcome);
    const shared = await outcome;
    const isOthers = shared !== null && shared.personalTo !== null && shared.personalTo !== viewer.userId;
    return isOthers ? this.#render(event, viewer, loaders) : shared;
  }

  #render(event: LoggedEvent, viewer: Viewer, loaders: Loaders): Promise<Outcome | null> {
    const place = { cursor: this.#cursorOf(event.id), at: event.at };
    return this.#renderer.render(event, place, { viewer, loaders });
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
