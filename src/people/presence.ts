import { inTransaction, type Db } from '../postgres/client.ts';
import type { PresenceStatus } from '../postgres/generated/prisma/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { pairOne } from '../postgres/pairing.ts';
import { InvalidInput, type FieldError } from '../errors.ts';
import { askerKey, type Asker } from '../core/asker.ts';
import { unnest } from '../postgres/unnest.ts';

/**
 * A user's presence; `lastSeenAt` is when an OFFLINE user was last online. It is null if the user has never been
 * online, and for users who are not OFFLINE.
 */
export type Presence = { status: PresenceStatus; lastSeenAt: Date | null };

/**
 * Loads each user's presence as the asker sees it; null if the asker shares no chat with the user. A user who has
 * blocked the asker appears never to have been online, because null would reveal the block.
 */
export const presenceOf = defineLoader({
  load: readPresences,
  keyOf: ({ asker, userId }: PresenceKey) => `${askerKey(asker)} ${userId}`,
});

/** A user, and the asker who reads their presence. */
type PresenceKey = { asker: Asker; userId: bigint };

/**
 * Raw SQL at half the cost of Prisma, because this runs when events are rendered, and because one statement reads many
 * users for many askers.
 */
async function readPresences(db: Db, pairs: readonly PresenceKey[]): Promise<(Presence | null)[]> {
  const { rows } = await db.pool.query<Presence & { index: number }>({
    name: 'presences',
    // The asker's chats are read once, into a hash table (`is true` makes the planner use one). A user in hundreds of
    // chats then costs one lookup for each of their chats, instead of one for each combination of their chats and the
    // asker's.
    text: `with ours as materialized (
      select viewer_id, chat_id from (select distinct ${unnest('$1::bigint[]')} as viewer_id) viewers
      join members on user_id = viewer_id
    )
    select pair.index::int as index, coalesce(p.status, 'OFFLINE') as status,
      case when p.status = 'OFFLINE' then p.last_seen_at end as "lastSeenAt"
    from ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as pair (viewer_id, user_id, index)
    left join presences p on p.user_id = pair.user_id and not exists (
      select from blocks where blocker_id = pair.user_id and blocked_id = pair.viewer_id)
    where pair.viewer_id = pair.user_id or exists (
      select from (select chat_id from members where user_id = pair.user_id offset 0) theirs
      where ((pair.viewer_id, theirs.chat_id) in (select viewer_id, chat_id from ours)) is true)`,
    values: [pairs.map(({ asker }) => asker.userId), pairs.map(({ userId }) => userId)],
  });
  return pairOne(rows, pairs, { value: (row): Presence => row, missing: null });
}

/** The minimum duration of a lease, in seconds; shorter leases would expire whenever a phone pauses. */
export const minLeaseSeconds = 10;
/** The maximum duration of a lease, in seconds. */
export const maxLeaseSeconds = 300;

/**
 * `expiresInSeconds`: how long the device counts as present without another report; null if it counts for as long as it
 * has a stream.
 */
export type PresenceReport = { status: PresenceStatus; expiresInSeconds: number | null };

/**
 * Sets the asker's device to ONLINE or AWAY until the next call, or until all of the device's streams have closed. A
 * user is AWAY when all of their devices are. A call with `expiresInSeconds` takes a lease: once the lease has expired,
 * the device's streams do not count until the next call. Throws InvalidInput for OFFLINE, which would mean that a user
 * has no stream, and for a lease that is too short or too long. The edge (api/limit.ts) limits how often a session may
 * call this.
 */
export async function setPresence({ db }: { db: Db }, asker: Asker, report: PresenceReport): Promise<Presence> {
  const { userId, sessionId } = asker;
  refuseInvalid(report);
  const { status, expiresInSeconds } = report;
  await inTransaction(db, async (client) => {
    // Marks the session as away, or removes that mark. Raw SQL: Prisma supports neither the lock nor `on conflict`.
    await client.query(
      status === 'AWAY'
        ? 'insert into away_sessions (session_id) select id from sessions where id = $1 for key share on conflict do nothing'
        : 'delete from away_sessions where session_id = $1',
      [sessionId],
    );
    await (expiresInSeconds === null
      ? client.query('delete from presence_leases where session_id = $1', [sessionId])
      : client.query(renewLease, [sessionId, expiresInSeconds]));
    // Recomputes the user's status with the same function that runs when a stream opens or closes.
    await client.query('select settle_presences(array[$1::bigint])', [userId]);
  });
  const [presence] = await readPresences(db, [{ asker, userId }]);
  return presence ?? { status: 'OFFLINE', lastSeenAt: null };
}

/**
 * The lease begins and ends by the clock of the database. Raw SQL: Prisma cannot express the clock, the lock or `on
 * conflict`.
 */
const renewLease = `insert into presence_leases (session_id, expires_at)
  select id, clock_timestamp() + $2 * interval '1 second' from sessions where id = $1 for key share
  on conflict (session_id) do update set expires_at = excluded.expires_at, has_lapsed = false`;

function refuseInvalid({ status, expiresInSeconds }: PresenceReport): void {
  const fields: FieldError[] = [];
  if (status === 'OFFLINE') {
    const message = 'must be ONLINE or AWAY; to go offline, close the stream';
    fields.push({ path: ['status'], code: 'NOT_ALLOWED', message });
  }
  if (expiresInSeconds !== null && (expiresInSeconds < minLeaseSeconds || expiresInSeconds > maxLeaseSeconds)) {
    const message = `must be from ${minLeaseSeconds} to ${maxLeaseSeconds}`;
    fields.push({ path: ['expiresInSeconds'], code: 'NOT_ALLOWED', message });
  }
  if (fields.length > 0) throw new InvalidInput(fields);
}
