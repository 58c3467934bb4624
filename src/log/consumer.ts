import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import type { Lease, Leases } from '../postgres/lease.ts';
import { LeasedLoop, type LoopTimes } from '../postgres/leased-loop.ts';
import type { Report } from '../core/report.ts';
import { formatCursor } from './cursor.ts';
import type { LoggedEvent } from './event.ts';
import { BatchPace, type RestFactors } from './batch-pace.ts';
import { readEpoch, readNext, readNextMessages, readLogPlace } from './event-log.ts';

const defaultBatchSize = 100;
/** The maximum number of events that are counted to determine a lag. */
const maxCountedLag = 100_000;

/** Why a consumer has not seen all events: they were pruned, or its position belongs to a different history. */
export type GapReason = 'PRUNED' | 'ANOTHER_HISTORY';

/** What the consumer does with the events. */
export type Effect =
  | {
      /**
       * Writes rows in the transaction that advances the consumer's position, and therefore takes effect exactly once
       * for each event. Must not commit.
       */
      write: (client: Queryable, events: LoggedEvent[]) => Promise<void>;
    }
  | {
      /**
       * Does the same for messages: it receives the ids of the messages that have events of these kinds, each id only
       * once. This costs less than reading the events.
       */
      writeMessages: (client: Queryable, messageIds: bigint[]) => Promise<void>;
      kinds: readonly string[];
    }
  | {
      /**
       * Acts outside the database, at least once for each event. After a crash or a failure, the same event is passed
       * again with the same `idempotencyId`, which lets the receiving system recognise it. Stop when the signal aborts,
       * because another node may have taken over.
       */
      send: (event: LoggedEvent, options: { idempotencyId: string; signal: AbortSignal }) => Promise<void>;
    };

/** How a consumer reads the log, and what it does with the events. */
export type LogConsumerOptions = {
  db: Pick<Db, 'pool'>;
  leases: Leases;
  report: Report;
  /** The permanent name of the consumer, under which its position is stored. */
  name: string;
  /** Where the first run starts: at the oldest event in the log, or at the next event to be written. */
  startsAt: 'OLDEST' | 'NEWEST';
  effect: Effect;
  /**
   * Called when the consumer has missed events; recomputes their effect from the current state, in the given
   * transaction. The consumer then continues after the current end of the log; the transaction may already have seen
   * the first of the events that follow.
   */
  reset: (client: Queryable, reason: GapReason) => Promise<void>;
  times?: Partial<LoopTimes>;
  /** How many events are consumed at a time; 100 by default. */
  batchSize?: number;
  /** How long the consumer rests after a full batch; by default, it does not rest. */
  rest?: RestFactors;
};

/**
 * How far a consumer is behind the log: the number of events that it has not consumed, and the age of the oldest of
 * them in seconds.
 */
export type Lag = { name: string; events: number; seconds: number };

type Place = { epoch: string; position: bigint };
type SendEffect = Extract<Effect, { send: unknown }>['send'];

/**
 * Reads the event log in order, and resumes where it last stopped, for work that must be done once for each event, even
 * if a node crashes. Every node opens the same consumers. A lease ensures that only one instance of each consumer runs,
 * and the lease's fencing token prevents an instance that was presumed dead from writing. The doorbell wakes the
 * consumer, and a slow poll makes up for lost notifications. After a failure, events are retried with back-off, one
 * event at a time, on whichever node takes the lease first; no event is skipped.
 */
export class LogConsumer {
  readonly #options: LogConsumerOptions;
  readonly #loop: LeasedLoop;
  readonly #batchSize: number;
  readonly #pace: BatchPace | null;
  /** How many events must still be consumed one at a time, because one of them failed. */
  #singly = 0;

  constructor(options: LogConsumerOptions) {
    this.#options = options;
    this.#batchSize = options.batchSize ?? defaultBatchSize;
    this.#pace = options.rest === undefined ? null : new BatchPace(options.rest);
    const { leases, name, times, report } = options;
    this.#loop = new LeasedLoop({
      leases,
      name: `consumer:${name}`,
      times,
      step: (lease) => this.#consume(lease),
      onFailure: (error, failures) => {
        this.#singly = this.#batchSize;
        if (failures === 1) report('warn', 'an event log consumer failed and will retry', { consumer: name, error });
      },
    });
  }

  open(): void {
    this.#loop.open();
  }

  /** Call this when the log may have new events. */
  ring(): void {
    this.#loop.ring();
  }

  /** Finishes the events in progress and then releases the lease, so that another node can take over at once. */
  close(): Promise<void> {
    return this.#loop.close();
  }

  /** Consumes the next events, and returns whether there may be more, or how long to rest before the next batch. */
  async #consume(lease: Lease): Promise<boolean | { restMs: number }> {
    const isSingle = this.#singly > 0;
    const limit = isSingle ? 1 : this.#batchSize;
    const startedAt = performance.now();
    const count = await this.#step(lease, limit);
    this.#singly = count === 0 ? 0 : Math.max(0, this.#singly - count);
    if (count < limit) this.#pace?.keepUp();
    if (count < limit || isSingle || this.#pace === null) return count === limit;
    return { restMs: this.#pace.restMs(performance.now() - startedAt) };
  }

  /** Consumes the next events and returns how many there were. */
  #step(lease: Lease, limit: number): Promise<number> {
    const { effect } = this.#options;
    if ('send' in effect) return this.#send(lease, limit, effect.send);
    return inTransaction(this.#options.db, async (client) => {
      await lease.fence(client);
      const place = await this.#findPlace(client);
      if ('writeMessages' in effect) {
        const { kinds, writeMessages } = effect;
        const next = await readNextMessages(client, { after: place.position, limit, kinds });
        if (next.last === null || isPruned(next, place)) return 0;
        if (next.messageIds.length > 0) await writeMessages(client, next.messageIds);
        await this.#move(client, { ...place, position: next.last });
        return next.count;
      }
      const events = await readEvents(client, place, limit);
      const last = events.at(-1);
      if (last === undefined) return 0;
      await effect.write(client, events);
      await this.#move(client, { ...place, position: last.id });
      return events.length;
    });
  }

  async #send(lease: Lease, limit: number, send: SendEffect): Promise<number> {
    const { db, name } = this.#options;
    const { place, events } = await inTransaction(db, async (client) => {
      await lease.fence(client);
      const found = await this.#findPlace(client);
      return { place: found, events: await readEvents(client, found, limit) };
    });
    const { epoch } = place;
    let { position } = place;
    try {
      for (const event of events) {
        lease.signal.throwIfAborted();
        const idempotencyId = `${name}:${formatCursor({ epoch, id: event.id })}`;
        await send(event, { idempotencyId, signal: lease.signal });
        position = event.id;
      }
    } finally {
      if (position !== place.position) {
        await inTransaction(db, async (client) => {
          await lease.fence(client);
          await this.#move(client, { epoch, position });
        });
      }
    }
    return events.length;
  }

  /** Returns the stored position, the starting position in the first run, or the current end of the log after a gap. */
  async #findPlace(client: Queryable): Promise<Place> {
    const { name, startsAt, reset, report } = this.#options;
    const epoch = await readEpoch(client);
    const { rows } = await client.query<Place>({
      name: 'consumer_place',
      text: 'select epoch, position from log_consumers where name = $1',
      values: [name],
    });
    const place = rows[0];
    const { head, prunedThrough, isKnown } = await readLogPlace(client, place?.position ?? 0n);
    if (place === undefined) {
      const first = { epoch, position: startsAt === 'OLDEST' ? prunedThrough : head };
      await this.#move(client, first);
      return first;
    }
    const reason = place.epoch !== epoch || !isKnown ? 'ANOTHER_HISTORY' : 'PRUNED';
    if (reason === 'PRUNED' && place.position >= prunedThrough) return place;
    report('warn', 'an event log consumer missed events and starts over', { consumer: name, reason });
    await reset(client, reason);
    const next = { epoch, position: head };
    await this.#move(client, next);
    return next;
  }

  async #move(client: Queryable, { epoch, position }: Place): Promise<void> {
    await client.query({
      name: 'move_consumer',
      text: `insert into log_consumers (name, epoch, position) values ($1, $2, $3)
      on conflict (name) do update set epoch = excluded.epoch, position = excluded.position`,
      values: [this.#options.name, epoch, position],
    });
  }
}

async function readEvents(client: Queryable, place: Place, limit: number): Promise<LoggedEvent[]> {
  const next = await readNext(client, place.position, limit);
  return isPruned(next, place) ? [] : next.events;
}

/**
 * Returns whether events after the position have been pruned since the position was read; if so, the next step detects
 * the gap.
 */
function isPruned({ prunedThrough }: { prunedThrough: bigint }, place: Place): boolean {
  return prunedThrough > place.position;
}

/** Returns how far each consumer is behind, counted up to 100,001 events. For monitoring. */
export async function readLags({ pool }: Pick<Db, 'pool'>): Promise<Lag[]> {
  const { rows } = await pool.query<Lag>(
    `select c.name, behind.events,
      coalesce(greatest(extract(epoch from clock_timestamp() - behind.since), 0), 0)::float8 as seconds
    from log_consumers c cross join lateral (
      select count(*)::int as events, min(at) as since
      from (select at from events where id > c.position order by id limit $1) missing
    ) behind order by c.name`,
    [maxCountedLag + 1],
  );
  return rows;
}
