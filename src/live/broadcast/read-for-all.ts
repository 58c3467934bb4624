import type { LoggedEvent } from '../../log/event.ts';
import { readKnownToAll, type HubLog, type Known } from '../hub-log.ts';

/**
 * What the publisher has read for all nodes. `known`: null if each node has to read that itself. `rows`: by the id of
 * the event, what it is about, for some of the events.
 */
export type ReadForAll = { known: Known | null; rows: ReadonlyMap<bigint, unknown> };

/** Reads the rows that events are about, by the event's id. */
export type ReadRows = (events: readonly LoggedEvent[]) => Promise<ReadonlyMap<bigint, unknown>>;

/**
 * How long nodes may show rows that the publisher read for all, in ms. Whatever changed them since is a later event;
 * but what was deleted must not be shown by a node that was stopped for a while.
 */
export const rowsLastMs = 2_000;

/** Reads what concerns all nodes. Rejects while the database is away. */
export async function readForAll(
  { log, readRows }: { log: HubLog; readRows: ReadRows },
  events: readonly LoggedEvent[],
): Promise<ReadForAll> {
  const [known, rows] = await Promise.all([readKnownToAll(log, events), readRows(events)]);
  return { known, rows };
}

/** The events with their rows, which may be shown until that time of `performance.now()`. */
export function attachRows(events: readonly LoggedEvent[], rows: ReadForAll['rows'], until: number): LoggedEvent[] {
  return events.map((event) => {
    const found = rows.get(event.id);
    return found === undefined ? event : { ...event, shared: { rows: found, until } };
  });
}

/** The rows of these events. */
export function rowsOf(events: readonly LoggedEvent[], rows: ReadForAll['rows']): ReadForAll['rows'] {
  return new Map(
    events.flatMap(({ id }) => {
      const found = rows.get(id);
      return found === undefined ? [] : [[id, found] as const];
    }),
  );
}
