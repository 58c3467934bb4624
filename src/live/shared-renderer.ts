import { randomUUID } from 'node:crypto';
import { askerKey, type Caller } from '../core/asker.ts';
import type { Metrics } from '../core/metric.ts';
import type { Report } from '../core/report.ts';
import { formatCursor } from '../log/cursor.ts';
import { isPromise, whenThere, type Soon } from '../core/soon.ts';
import type { LoggedEvent } from '../log/event.ts';
import type { Loaders } from '../postgres/loader.ts';
import { mayReceive, ResultsByAudience } from './audience.ts';
import { letLag, type Batch, type Delivery, type Receiver, type Rendering } from './delivery.ts';
import type { EventCost, EventRenderer, RenderedEvent, RenderFor } from './event-renderer.ts';
import type { StreamNotice, Transient } from './notice.ts';
import type { Outdated } from './outdated.ts';
import { RecentRenderings } from './recent-rendering.ts';
import type { SliceLoaders } from './slice-loaders.ts';

/**
 * What a document is rendered for: an event, a notice that is not stored, or a report of how far a stream has read.
 * `edition`: the edition that was current when the event arrived.
 */
export type Renderable =
  | { event: LoggedEvent; edition: number; receivers: readonly Receiver[] }
  | { transient: Transient; receivers: readonly Receiver[] }
  | { caughtUpTo: bigint; receivers: readonly Receiver[] };

/** The results of one item that are still missing because they differ from asker to asker. `render` never rejects. */
export type Rest = {
  lacking: (keyOf: (asker: Caller) => string) => Caller[];
  render: (asker: Caller) => Promise<void>;
};

/**
 * The loaders for the items of one slice, the edition that was current when the loaders were created, and a list of the
 * work that is left to do afterwards.
 */
export type SliceParts = { loaders: SliceLoaders; edition: number; rest: Rest[] };

type RendererOptions = { epoch: () => string; report: Report; metrics: Metrics; outdated: Outdated };

/** In the payload of a notice that is not stored, marks the place where each stream inserts its own cursor. */
const cursorPlaceholder = randomUUID();

/**
 * Renders the results of one document: once for everyone, or once for each user or session on which the result depends.
 * Replays and live receivers share renderings.
 */
export class SharedRenderer {
  readonly wantsPresence: boolean;
  readonly cost: EventCost;
  readonly #renderer: EventRenderer;
  readonly #options: RendererOptions;
  readonly outdated: Outdated;
  readonly #recent: RecentRenderings;

  /** `epoch` returns the epoch of the current history of the log. */
  constructor(renderer: EventRenderer, options: RendererOptions) {
    this.#renderer = renderer;
    this.#options = options;
    this.outdated = options.outdated;
    this.#recent = new RecentRenderings(options.outdated);
    this.wantsPresence = renderer.wantsPresence;
    this.cost = renderer.cost;
  }

  /** Creates the loaders for one batch of events. */
  newLoaders(): Loaders {
    return this.#renderer.newLoaders();
  }

  /** Drops all renderings. */
  clear(): void {
    this.#recent.clear();
  }

  /**
   * Renders an event for one asker, or returns its latest rendering; the result is null when there is nothing to show.
   * `edition`: the edition that was current before the loaders read anything. `isShared`: whether others will want the
   * rendering.
   */
  renderFor(
    event: LoggedEvent,
    { asker, loaders, edition, isShared }: RenderFor & { edition: number; isShared: boolean },
  ): Soon<RenderedEvent | null> {
    const known = this.#recent.get(event.id);
    const outcome = known === undefined ? this.#render(event, asker, loaders) : known.outcome;
    if (known === undefined) this.#recent.add(event.id, { outcome, chatId: event.chatId, edition }, isShared);
    return whenThere(outcome, (shared) => {
      const isOthers = shared !== null && !mayReceive(asker, shared.personalTo);
      return isOthers ? this.#render(event, asker, loaders) : shared;
    });
  }

  /**
   * If the event is already rendered, returns what `renderFor` would return, and the event's chat; otherwise, returns
   * undefined.
   */
  findFor(eventId: bigint, asker: Caller): { shown: RenderedEvent | null; chatId: bigint | null } | undefined {
    const known = this.#recent.get(eventId);
    if (known === undefined || isPromise(known.outcome)) return undefined;
    const shown = known.outcome;
    return shown === null || mayReceive(asker, shown.personalTo) ? { shown, chatId: known.chatId } : undefined;
  }

  /** Reads most of the data that `renderFor` will need. Never rejects. */
  prefetch(events: readonly LoggedEvent[], loaders: Loaders): Promise<void> {
    return this.#renderer.prefetch(events, loaders);
  }

  /**
   * Renders a notice for a single stream (CaughtUp, Reset), at the position of event `id`. Rejects when the database
   * is unavailable.
   */
  async renderNotice(notice: StreamNotice, id: bigint, asker: Caller): Promise<Rendering> {
    const head = { cursor: this.#cursorOf(id), at: new Date() };
    const loaders = this.#renderer.newLoaders();
    const { payload } = await this.#renderer.renderNotice(notice, head, { asker, loaders });
    return { ...this.toRendering(id, payload), notice: notice.kind };
  }

  /**
   * Prepares a delivery. Adds the results that are still missing to `parts.rest`; send the delivery once they are
   * rendered. Never rejects, because a rejection would stop the queue permanently.
   */
  async prepare(item: Renderable, parts: SliceParts): Promise<Delivery> {
    if ('event' in item) return this.#prepareEvent(item, parts);
    try {
      return 'transient' in item
        ? await this.#prepareTransient(item, parts)
        : await this.#prepareRefresh(item, parts.loaders.of());
    } catch (error) {
      this.#reportLoss(error);
      return () => {
        if ('transient' in item && item.transient.kind === 'PresenceChanged') letLag(item.receivers);
      };
    }
  }

  readonly #reportLoss = (error: unknown) => this.#options.report('warn', 'a notice was left out', { error });

  /** Prepares one result for all receivers, or one for each user or session on which the execution depended. */
  async #prepareEvent(
    { event, edition, receivers }: Extract<Renderable, { event: LoggedEvent }>,
    parts: SliceParts,
  ): Promise<Delivery> {
    const { rest } = parts;
    const loaders = parts.loaders.of(event.shared);
    const prober = receivers.find(({ isReceiving }) => isReceiving);
    if (prober === undefined) return null;
    const probe = await this.renderFor(event, {
      asker: prober.asker,
      loaders,
      // Rows that came with the event were read before the event arrived.
      edition: event.shared === undefined ? parts.edition : edition,
      isShared: true,
    });
    if (probe === null) return null;
    if (probe.personalTo === null) return { receivers, rendering: this.toRendering(event.id, probe.payload) };
    const askers = receivers.filter(({ isReceiving }) => isReceiving).map(({ asker }) => asker);
    const batches = new ResultsByAudience<Batch>();
    batches.add(probe.personalTo, this.#toBatch(event.id, probe.payload));
    const lacking: Rest['lacking'] = (keyOf) => batches.lacking(askers, keyOf);
    const render = async (asker: Caller) => {
      const outcome = await this.#render(event, asker, loaders);
      if (outcome === null) return;
      // The first rendering was personal. A later rendering that is not personal must not be shared, because it failed
      // or the data has changed since.
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

  /** Prepares renderings as for an event, but with a placeholder for the cursor that each stream inserts. */
  async #prepareTransient(
    { transient, receivers }: { transient: Transient; receivers: readonly Receiver[] },
    { loaders, rest }: SliceParts,
  ): Promise<Delivery> {
    const head = { cursor: cursorPlaceholder, at: new Date() };
    const results = new ResultsByAudience<string[]>();
    const render = async (asker: Caller) => {
      const { payload, personalTo } = await this.#renderer.renderNotice(transient, head, {
        asker,
        loaders: loaders.of(),
      });
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
    const rendering: Rendering = { ...this.toRendering(caughtUpTo, payload), notice: 'CaughtUp' };
    const batch: Batch = { renderings: [rendering], encodings: new Map(), isNotice: true };
    return () => {
      for (const receiver of receivers) receiver.receive(batch);
    };
  }

  #render(event: LoggedEvent, asker: Caller, loaders: Loaders): Soon<RenderedEvent | null> {
    const head = { cursor: this.#cursorOf(event.id), at: event.at };
    this.#options.metrics.count('eventExecutions', {});
    return this.#renderer.render(event, head, { asker, loaders });
  }

  #toBatch(eventId: bigint, payload: string): Batch {
    return { renderings: [this.toRendering(eventId, payload)], encodings: new Map() };
  }

  /** Puts the result for an event into the form in which the receivers get it. */
  toRendering(eventId: bigint, payload: string): Rendering {
    return { eventId, cursor: this.#cursorOf(eventId), payload };
  }

  #cursorOf(id: bigint): string {
    return formatCursor({ epoch: this.#options.epoch(), id });
  }
}
