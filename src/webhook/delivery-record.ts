import type { Db } from '../postgres/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { pairMany } from '../postgres/pairing.ts';
import type { DeliveryAttempt } from './holding.ts';
import { unnest } from '../postgres/unnest.ts';

/** Loads the most recent delivery attempts of each of these webhooks, newest first. */
export const recentDeliveriesOf = defineLoader({ load: readRecentDeliveries });

async function readRecentDeliveries({ pool }: Db, webhookIds: readonly bigint[]): Promise<DeliveryAttempt[][]> {
  const { rows } = await pool.query<DeliveryAttempt & { index: number }>({
    name: 'webhook_deliveries',
    text: `select webhook.index::int as index, d.number, d.cursor, d.at, d.attempt, d.status,
      d.duration_ms as "durationMs"
    from ${unnest('$1::bigint[]')} with ordinality as webhook (id, index)
    join webhook_deliveries d on d.webhook_id = webhook.id
    order by webhook.index, d.number desc`,
    values: [webhookIds],
  });
  return pairMany(rows, webhookIds, (row): DeliveryAttempt => row);
}
