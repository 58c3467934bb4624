import type { LoggedEvent } from '../../log/event.ts';
import { readKnownToAll, type HubLog, type Known } from '../hub-log.ts';

/**
 * What the publisher has read for all nodes. `known`: null if each node has to read the facts itself. `rows`: for some
 * of the events, the rows that they are about, by event id.
 */
export type ReadForAll = { known: Known | null; rows: ReadonlyMap<bigint, unknown> };

/** Reads the rows that events are about, by event id. */
export type ReadRows = (events: readonly LoggedEvent[]) => Promise<ReadonlyMap<bigint, unknown>>;

/**
 * How long nodes may show rows that the publisher read for them all, in ms. Any later change to them is a later event;
 * but a node that was paused for a while must not show what has been deleted.
 */
export const rowsLastMs = 2_000;

/** Reads what all nodes need. Rejects while the database is unavailable. */
export async function readForAll(
  { log, readRows }: { log: HubLog; readRows: ReadRows },
  events: readonly LoggedEvent[],
): Promise<ReadForAll> {
  const [known, rows] = await Promise.all([readKnownToAll(log, events), readRows(events)]);
  return { known, rows };
}

/** The events with their rows; a node may show these until `performance.now()` reaches `until`. */
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
