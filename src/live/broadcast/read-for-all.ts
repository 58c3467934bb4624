import type { LoggedEvent } from '../../log/event.ts';
import { readKnownToAll, type HubLog, type Known } from '../hub-log.ts';

/**
 * The data that the publisher reads on behalf of all nodes. `known`: the facts about the events, or null if each node
 * has to read the facts itself. `rows`: the rows that some of the events are about, by event id.
 */
export type ReadForAll = { known: Known | null; rows: ReadonlyMap<bigint, unknown> };

/** Reads the rows that events are about, and returns them by event id. */
export type ReadRows = (events: readonly LoggedEvent[]) => Promise<ReadonlyMap<bigint, unknown>>;

/**
 * How long nodes may show rows that the publisher read for all nodes, in ms. Any later change to the rows causes a
 * later event, but a node that was paused for a while must not show content that has been deleted since then.
 */
export const rowsLastMs = 2_000;

/** Reads the data that all nodes need. Rejects while the database is unavailable. */
export async function readForAll(
  { log, readRows }: { log: HubLog; readRows: ReadRows },
  events: readonly LoggedEvent[],
): Promise<ReadForAll> {
  const [known, rows] = await Promise.all([readKnownToAll(log, events), readRows(events)]);
  return { known, rows };
}

/** Returns the events with their rows. A node may show these rows until `performance.now()` reaches `until`. */
export function attachRows(events: readonly LoggedEvent[], rows: ReadForAll['rows'], until: number): LoggedEvent[] {
  return events.map((event) => {
    const found = rows.get(event.id);
    return found === undefined ? event : { ...event, shared: { rows: found, until } };
  });
}

/** Returns the rows of these events. */
export function rowsOf(events: readonly LoggedEvent[], rows: ReadForAll['rows']): ReadForAll['rows'] {
  return new Map(
    events.flatMap(({ id }) => {
      const found = rows.get(id);
      return found === undefined ? [] : [[id, found] as const];
    }),
  );
}
