import type { Metrics } from './core/metric.ts';
import type { Realtime } from './live/realtime.ts';
import { readLags } from './log/consumer.ts';
import { readFeedLag } from './log/event-log.ts';
import { measureOutbox } from './mail/outbox.ts';
import type { Db } from './postgres/client.ts';
import { countWebhooks } from './webhook/holding.ts';

/** Measures the connection pools and the database each time the metrics are read. */
export function surveyDatabase(metrics: Metrics, { pool, searchPool }: Db, realtime: Realtime | null): void {
  const pools = { main: pool, search: searchPool };
  metrics.watch('databaseConnections', () =>
    Object.entries(pools).flatMap(([name, { totalCount, idleCount }]) => [
      { value: idleCount, labels: { pool: name, state: 'idle' } },
      { value: totalCount - idleCount, labels: { pool: name, state: 'busy' } },
    ]),
  );
  metrics.watch('databaseWaiting', () =>
    Object.entries(pools).map(([name, { waitingCount }]) => ({ value: waitingCount, labels: { pool: name } })),
  );
  // Called even if there is nothing to set, so that `databaseUp` shows whether the database answers.
  metrics.survey(async (set) => {
    const { count, oldestSeconds } = await measureOutbox(pool);
    set('mailsQueued', count, {});
    set('mailsQueuedSeconds', oldestSeconds, {});
  });
  metrics.survey(async (set) => {
    for (const { status, count } of await countWebhooks({ pool })) set('webhooks', count, { status });
  });
  metrics.survey(async (set) => {
    for (const { name, events, seconds } of await readLags({ pool })) {
      set('consumerLagEvents', events, { consumer: name });
      set('consumerLagSeconds', seconds, { consumer: name });
    }
  });
  if (realtime === null) return;
  metrics.survey(async (set) => {
    const { events, seconds } = await readFeedLag(pool, realtime.readThrough);
    set('feedLagEvents', events, {});
    set('feedLagSeconds', seconds, {});
  });
}
