import type pg from 'pg';
import { formatTraceParent, withSpan, type TraceParent } from '../core/trace.ts';
import { unnest } from './unnest.ts';
/** The same type as in client.ts, which cannot be imported because it imports this file. */
type Queryable = Pick<pg.ClientBase, 'query'>;

/** The channel on which nodes tell each other which events belong to which trace. */
export const traceChannel = 'parley_traces';

/** The span context for the events that one user caused. A null `actorId` stands for everyone else. */
export type EventTrace = { actorId: bigint | null; parent: TraceParent };

/**
 * Returns the id of the current transaction, as it appears in the `xmin` of its rows, or null if the transaction has
 * written nothing.
 */
export async function readTransactionId(client: Queryable): Promise<string | null> {
  const { rows } = await client.query<{ id: string | null }>({
    name: 'transaction_id',
    text: 'select pg_current_xact_id_if_assigned()::xid::text as id',
  });
  return rows[0]?.id ?? null;
}

/** How many of the newest events to search for the events of a transaction that was just committed. */
const newest = 1_000;
/** The maximum number of events in a transaction that fit into one notification. */
const maxEvents = 80;

/**
 * Tells all nodes, after the commit of a transaction, which of its events belong to which trace. This does not happen
 * in the transaction itself, because event ids are assigned at its very end. Only traced transactions incur this cost,
 * and nothing waits for the statement.
 */
export function announceTraces(pool: pg.Pool, transactionId: string, traces: readonly EventTrace[]): void {
  const [first] = traces;
  if (first === undefined) return;
  const statement = {
    name: 'announce_traces',
    text: `select pg_notify($5, string_agg(e.id || ' ' || coalesce(t.parent, $4), ','))
    from (
      select id, actor_id from events
      where id > (select max(id) - $6::bigint from events) and xmin::text = $1 order by id limit $7
    ) e
    left join ${unnest('$2::bigint[]', '$3::text[]')} t (actor_id, parent) on t.actor_id = e.actor_id
    having count(*) > 0`,
    values: [
      transactionId,
      traces.map(({ actorId }) => actorId),
      traces.map(({ parent }) => formatTraceParent(parent)),
      formatTraceParent(first.parent),
      traceChannel,
      newest,
      maxEvents,
    ],
  };
  // If the statement fails, the events start their own traces.
  withSpan(null, () => pool.query(statement)).catch(() => undefined);
}
