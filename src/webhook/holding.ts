import { inTransaction, type Db } from '../postgres/client.ts';
import type { WebhookStatus } from '../postgres/generated/prisma/client.ts';
import type { Lease } from '../postgres/lease.ts';
import { unnest } from '../postgres/unnest.ts';

/** The data about a webhook that a node needs in order to deliver to it. */
export type HeldWebhook = {
  id: bigint;
  version: number;
  url: string;
  document: string;
  variables: Record<string, unknown> | null;
  ownerId: bigint | null;
  /** The session in which the webhook acts for its owner. */
  sessionId: bigint | null;
  apiKeyId: bigint | null;
  secret: Buffer;
  /** The secret before the last rotation, which is also used for signing until `formerSecretUntil`. */
  formerSecret: Buffer | null;
  formerSecretUntil: Date | null;
  status: WebhookStatus;
  cursor: string;
  isPinged: boolean;
  deliveryCount: bigint;
  failures: number;
};

/**
 * An attempt to deliver an event. `number` is the attempt's number among all attempts of the webhook. `status` is null
 * if the receiver did not answer.
 */
export type DeliveryAttempt = {
  number: bigint;
  cursor: string;
  at: Date;
  attempt: number;
  status: number | null;
  durationMs: number;
};

/** The changes to a webhook since the last report. `saveProgress` writes them to the database. */
export type Progress = {
  id: bigint;
  version: number;
  cursor: string;
  isPinged: boolean;
  deliveryCount: bigint;
  failures: number;
  status: WebhookStatus;
  deliveredAt: Date | null;
  lastError: string | null;
  /** The time until the next attempt, in ms from now, or null if it has not changed. */
  retryMs: number | null;
  attempts: DeliveryAttempt[];
  /** Whether this node stops delivering to the webhook. */
  isReleased: boolean;
  /** Whether the webhook has just started to fail, so that the server admins receive an email. */
  isAlarming: boolean;
};

/**
 * Takes up to `limit` webhooks that are due and to which no live node is delivering. `node` is the name of this node's
 * lease. `aheadMs` is the time by which the clock that schedules attempts is ahead of the database's clock; see
 * `WebhookTimes`. Uses raw SQL, like the rest of this file, in order to use the database's clock and `skip locked`, and
 * to handle many webhooks in one statement.
 */
export async function takeDueWebhooks(
  { pool }: Pick<Db, 'pool'>,
  node: string,
  { limit, aheadMs }: { limit: number; aheadMs: number },
): Promise<HeldWebhook[]> {
  const { rows } = await pool.query<HeldWebhook>({
    name: 'take_webhooks',
    text: `with due as (
      select w.id from webhooks w left join leases l on l.name = w.node
      where w.status <> 'PAUSED' and w.next_attempt_at <= clock_timestamp() + $3 * interval '1 ms'
        and (w.node is null or l.until < clock_timestamp())
      order by w.next_attempt_at limit $2 for update of w skip locked
    ), taken as (
      update webhooks w set node = $1 from due where w.id = due.id returning w.*
    )
    select w.id, w.version, w.url, w.document, w.variables, w.owner_id as "ownerId", s.id as "sessionId",
      w.api_key_id as "apiKeyId", w.secret, w.former_secret as "formerSecret",
      w.former_secret_until as "formerSecretUntil", w.status, w.cursor, w.is_pinged as "isPinged",
      w.delivery_count as "deliveryCount", w.failures
    from taken w left join sessions s on s.webhook_id = w.id`,
    values: [node, limit, aheadMs],
  });
  return rows;
}

/** Returns the webhooks to which this node still delivers, with their versions. */
export async function readHeldVersions({ pool }: Pick<Db, 'pool'>, node: string): Promise<Map<bigint, number>> {
  const { rows } = await pool.query<{ id: bigint; version: number }>({
    name: 'held_webhooks',
    text: `select id, version from webhooks where node = $1 and status <> 'PAUSED'`,
    values: [node],
  });
  return new Map(rows.map(({ id, version }) => [id, version]));
}

/** Pauses the webhooks of API keys that have expired. The expiry itself changes nothing in the database. */
export async function pauseExpired({ pool }: Pick<Db, 'pool'>): Promise<void> {
  await pool.query({
    name: 'pause_expired_webhooks',
    text: `update webhooks w set status = 'PAUSED', last_error = 'The API key has expired.'
    from api_keys k where k.id = w.api_key_id and w.status <> 'PAUSED' and k.expires_at <= clock_timestamp()`,
  });
}

/**
 * Writes the progress of the webhooks to which this node delivers, under its lease. Returns the webhooks whose progress
 * was written. The other webhooks have been changed in the meantime or are handled by another node, so this node stops
 * delivering to them. Throws LeaseLost.
 */
export function saveProgress(
  { pool }: Pick<Db, 'pool'>,
  lease: Lease,
  { all, sendsMail, aheadMs }: { all: readonly Progress[]; sendsMail: boolean; aheadMs: number },
): Promise<Set<bigint>> {
  return inTransaction({ pool }, async (client) => {
    await lease.fence(client);
    const { rows } = await client.query<{ id: bigint }>({
      name: 'save_webhooks',
      text: `update webhooks w set cursor = u.cursor, is_pinged = w.is_pinged or u.is_pinged,
        delivery_count = u.delivery_count, failures = u.failures, status = u.status,
        last_delivered_at = coalesce(u.delivered_at, w.last_delivered_at),
        last_error = coalesce(u.last_error, w.last_error),
        next_attempt_at = case when u.retry_ms is null then w.next_attempt_at
          else clock_timestamp() + (u.retry_ms + $12::float8) * interval '1 ms' end
      from ${unnest('$2::bigint[]', '$3::int[]', '$4::text[]', '$5::boolean[]', '$6::bigint[]', '$7::int[]', '$8::webhook_status[]', '$9::timestamptz[]', '$10::text[]', '$11::int[]')}
        as u (id, version, cursor, is_pinged, delivery_count, failures, status, delivered_at, last_error, retry_ms)
      where w.id = u.id and w.version = u.version and w.node = $1 and w.status <> 'PAUSED'
      returning w.id`,
      values: [
        lease.name,
        all.map(({ id }) => id),
        all.map(({ version }) => version),
        all.map(({ cursor }) => cursor),
        all.map(({ isPinged }) => isPinged),
        all.map(({ deliveryCount }) => deliveryCount),
        all.map(({ failures }) => failures),
        all.map(({ status }) => status),
        all.map(({ deliveredAt }) => deliveredAt),
        all.map(({ lastError }) => lastError),
        all.map(({ retryMs }) => retryMs),
        aheadMs,
      ],
    });
    const written = new Set(rows.map(({ id }) => id));
    const saved = all.filter(({ id }) => written.has(id));
    await saveAttempts(client, saved);
    if (sendsMail) await queueAlarms(client, saved);
    const released = all.filter(({ isReleased }) => isReleased).map(({ id }) => id);
    if (released.length > 0) {
      await client.query({
        name: 'release_webhooks',
        text: 'update webhooks set node = null where node = $1 and id = any ($2)',
        values: [lease.name, released],
      });
    }
    return written;
  });
}

type Client = Parameters<Parameters<typeof inTransaction>[1]>[0];

/** Each attempt overwrites the one that was made 100 attempts earlier. */
async function saveAttempts(client: Pick<Client, 'query'>, all: readonly Progress[]): Promise<void> {
  const rows = all.flatMap(({ id, attempts }) => attempts.map((each) => ({ ...each, id })));
  if (rows.length === 0) return;
  await client.query({
    name: 'save_webhook_deliveries',
    text: `insert into webhook_deliveries as d (webhook_id, slot, number, cursor, at, attempt, status, duration_ms)
    select webhook_id, number % ${keptDeliveries}, number, cursor, at, attempt, status, duration_ms
    from ${unnest('$1::bigint[]', '$2::bigint[]', '$3::text[]', '$4::timestamptz[]', '$5::int[]', '$6::int[]', '$7::int[]')}
      as u (webhook_id, number, cursor, at, attempt, status, duration_ms)
    on conflict (webhook_id, slot) do update set number = excluded.number, cursor = excluded.cursor, at = excluded.at,
      attempt = excluded.attempt, status = excluded.status, duration_ms = excluded.duration_ms`,
    values: [
      rows.map(({ id }) => id),
      rows.map(({ number }) => number),
      rows.map(({ cursor }) => cursor),
      rows.map(({ at }) => at),
      rows.map(({ attempt }) => attempt),
      rows.map(({ status }) => status),
      rows.map(({ durationMs }) => durationMs),
    ],
  });
}

/** The number of attempts that are kept for each webhook. */
export const keptDeliveries = 100;

/** For each webhook that has just started to fail, queues an email to each server admin with a verified address. */
async function queueAlarms(client: Pick<Client, 'query'>, all: readonly Progress[]): Promise<void> {
  const webhookIds = all.filter(({ isAlarming }) => isAlarming).map(({ id }) => id);
  if (webhookIds.length === 0) return;
  await client.query(
    `insert into mails (kind, user_id, webhook_id)
    select 'WEBHOOK_FAILING', u.id, webhook.id
    from users u cross join ${unnest('$1::bigint[]')} as webhook (id)
    where u.server_role = 'ADMIN' and u.email_verified_at is not null and u.deleted_at is null`,
    [webhookIds],
  );
}

/** Replaces a stored secret with the same secret after encrypting it with another key. */
export async function resealSecret(
  { pool }: Pick<Db, 'pool'>,
  { id, before, after }: { id: bigint; before: Buffer; after: Buffer },
): Promise<void> {
  await pool.query('update webhooks set secret = $3 where id = $1 and secret = $2', [id, before, after]);
}

/**
 * Renews the sessions that no request renews, so that they do not expire. These are the sessions of webhooks, and the
 * session that each live key has for its own bot. Without the latter, the key's webhooks would pause. Returns the
 * number of renewed sessions.
 */
export async function renewWebhookSessions({ pool }: Pick<Db, 'pool'>, limit: number): Promise<number> {
  const { rowCount } = await pool.query(
    `update sessions set last_used_at = now() where id = any (array(
      select s.id from sessions s
      where s.id in (
          select id from sessions where webhook_id is not null
          union all
          select own.id from api_keys k join sessions own on own.api_key_id = k.id and own.user_id = k.bot_id
          where k.revoked_at is null)
        and s.last_used_at < now() - interval '1 day'
      limit $1 for update of s skip locked))`,
    [limit],
  );
  return rowCount ?? 0;
}

/** Returns the number of webhooks for each status, including statuses without webhooks. For monitoring. */
export async function countWebhooks({ pool }: Pick<Db, 'pool'>): Promise<{ status: WebhookStatus; count: number }[]> {
  const { rows } = await pool.query<{ status: WebhookStatus; count: number }>(
    `select status, count(w.id)::int as count
    from unnest(enum_range(null::webhook_status)) status left join webhooks w using (status)
    group by status order by status`,
  );
  return rows;
}
