import { parseTraceParent, type TraceParent, type Tracer } from '../core/trace.ts';
import type { LoggedEvent } from '../log/event.ts';

/** How long after an event its spans are created, in ms. By then, the trace that they belong to is known. */
const settleMs = 1_000;
/** The maximum number of events that may wait for their spans. Events beyond that number are not recorded. */
const maxWaiting = 5_000;

/**
 * When one group of subscriptions received an event, with times in ms since 1970, and how many receivers the group had.
 */
export type TracedDelivery = { startedAt: number; renderedAt: number; sentAt: number; receivers: number };

type Passed = { event: LoggedEvent; passedAt: number; deliveries: TracedDelivery[] };

/**
 * Records what happens to events on this node, as spans in the trace of the request that committed the events. A
 * notification identifies that trace. The notification may arrive before or after the event itself, so the spans are
 * created one second later, with the times at which things happened. An event that was not caused by a traced request,
 * such as one written with psql, starts a new trace.
 */
export class EventTraces {
  readonly #tracer: Tracer;
  readonly #passed = new Map<bigint, Passed>();
  readonly #parents = new Map<bigint, TraceParent>();
  #isClosed = false;

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** Call this when events have passed through the hub. */
  pass(events: readonly LoggedEvent[]): void {
    const passedAt = Date.now();
    const noted = events.slice(0, Math.max(0, maxWaiting - this.#passed.size));
    for (const event of noted) this.#passed.set(event.id, { event, passedAt, deliveries: [] });
    if (noted.length === 0 || this.#isClosed) return;
    setTimeout(() => this.#settle(noted), settleMs).unref();
  }

  /** Call this when a group of subscriptions has received an event. */
  deliver(eventId: bigint, delivery: TracedDelivery): void {
    this.#passed.get(eventId)?.deliveries.push(delivery);
  }

  /** Reads a notification, which consists of pairs of an event id and a span context. */
  hear(payload: string): void {
    for (const pair of payload.split(',')) {
      const [, id = '', text = ''] = /^(\d{1,19}) (\S+)$/.exec(pair) ?? [];
      const parent = parseTraceParent(text);
      if (parent === null) continue;
      this.#parents.set(BigInt(id), parent);
      // When too many entries are waiting, drops the oldest one, because its event may never reach this node.
      const [oldest] = this.#parents.keys();
      if (this.#parents.size > maxWaiting && oldest !== undefined) this.#parents.delete(oldest);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#settle([...this.#passed.values()].map(({ event }) => event));
  }

  #settle(events: readonly LoggedEvent[]): void {
    for (const { id } of events) {
      const passed = this.#passed.get(id);
      this.#passed.delete(id);
      const parent = this.#parents.get(id) ?? null;
      this.#parents.delete(id);
      if (passed !== undefined) this.#record(passed, parent);
    }
  }

  #record({ event, passedAt, deliveries }: Passed, parent: TraceParent | null): void {
    const attributes = { 'parley.event.kind': event.kind, 'parley.event.id': String(event.id) };
    const startedAt = event.at.getTime();
    const span = this.#tracer(`event ${event.kind}`, { parent, kind: 'CONSUMER', startedAt, attributes });
    if (span === null) return;
    for (const delivery of deliveries) {
      const { renderedAt, sentAt, receivers } = delivery;
      span.child('render', { startedAt: delivery.startedAt }).end({}, renderedAt);
      span.child('send frames', { startedAt: renderedAt }).end({ 'parley.receivers': receivers }, sentAt);
    }
    span.end({}, Math.max(startedAt, passedAt, ...deliveries.map(({ sentAt }) => sentAt)));
  }
}
