import { isLoopback } from '../core/address-range.ts';
import type { Queryable } from '../postgres/client.ts';

/** The maximum length of the URL in a picture claim, in characters. */
const maxUrlLength = 2_048;
/**
 * The minimum time between the last fetch for a user and the fetch after a change of the claim, as a PostgreSQL
 * interval.
 */
const pause = '10 minutes';
/**
 * The pauses after failed attempts, as PostgreSQL intervals. After the last pause, there is one more attempt. If that
 * attempt fails too, the server gives up on the picture.
 */
const pauses = ['1 minute', '10 minutes', '1 hour', '6 hours'];

/** A picture that is due to be fetched, its user, and whether it may become that user's avatar. */
export type DuePicture = { userId: bigint; url: string; attempts: number; isWanted: boolean };

/**
 * Returns the claim as a URL that the server may fetch: `https:`, or `http:` for this machine. Returns null for
 * anything else, such as a URL with a password.
 */
export function readPictureUrl(claim: unknown): string | null {
  if (typeof claim !== 'string' || claim.length > maxUrlLength) return null;
  const url = URL.parse(claim);
  // Percent-encoding makes a URL longer, so this checks the length again.
  if (url === null || url.href.length > maxUrlLength || url.username !== '' || url.password !== '') return null;
  const isHere = url.hostname === 'localhost' || isLoopback(url.hostname.replace(/[[\]]/g, ''));
  return url.protocol === 'https:' || (url.protocol === 'http:' && isHere) ? url.href : null;
}

/**
 * Stores the URL of the picture that a token names, in the transaction that reads the token's claims. If the URL has
 * changed, the picture is fetched in the background. Raw SQL, like all statements of that transaction.
 */
export async function noteClaimedPicture(client: Queryable, userId: bigint, url: string): Promise<void> {
  await client.query(
    `insert into claimed_pictures as p (user_id, url) values ($1, $2)
    on conflict (user_id) do update set url = excluded.url, attempts = 0,
      next_attempt_at = greatest(clock_timestamp(), p.attempted_at + interval '${pause}')
    where p.url <> excluded.url`,
    [userId, url],
  );
}

/**
 * Returns the pictures that are due to be fetched. A picture is wanted if the user has no avatar or an avatar that came
 * from this claim, because users keep the avatars that they choose themselves. Raw SQL, to use the database's clock.
 */
export async function findDuePictures(client: Queryable, limit: number): Promise<DuePicture[]> {
  const { rows } = await client.query<DuePicture>(
    `select p.user_id as "userId", p.url, p.attempts,
      u.deleted_at is null and u.avatar_file_id is not distinct from p.file_id as "isWanted"
    from claimed_pictures p join users u on u.id = p.user_id
    where p.next_attempt_at <= statement_timestamp() order by p.next_attempt_at limit $1`,
    [limit],
  );
  return rows;
}

/**
 * Counts an attempt before it is made, and schedules the next one, in case this one fails or its node dies. Returns
 * whether this attempt is the last.
 */
export async function countAttempt(client: Queryable, { userId, url, attempts }: DuePicture): Promise<boolean> {
  const next = pauses[attempts];
  await client.query(
    `update claimed_pictures set attempts = attempts + 1, attempted_at = clock_timestamp(),
      next_attempt_at = clock_timestamp() + $3::interval
    where user_id = $1 and url = $2`,
    [userId, url, next ?? null],
  );
  return next === undefined;
}

/** Stops fetching the picture until the claim changes. */
export async function settlePicture(client: Queryable, { userId, url }: DuePicture): Promise<void> {
  await client.query('update claimed_pictures set next_attempt_at = null where user_id = $1 and url = $2', [
    userId,
    url,
  ]);
}

/**
 * Makes the file the user's avatar, replacing the one from the previous claim, and returns true. Returns false if the
 * claim or the avatar has changed in the meantime, or the account has been erased. Raw SQL, because Prisma cannot lock
 * rows.
 */
export async function useClaimedPicture(
  client: Queryable,
  { userId, url }: DuePicture,
  fileId: bigint,
): Promise<boolean> {
  // Waits for concurrent changes to the avatar, and for concurrent requests with the user's tokens.
  await client.query('select from users where id = $1 for no key update', [userId]);
  const { rowCount } = await client.query(
    `update users u set avatar_file_id = $3 from claimed_pictures p
    where u.id = $1 and p.user_id = u.id and p.url = $2
      and u.deleted_at is null and u.avatar_file_id is not distinct from p.file_id`,
    [userId, url, fileId],
  );
  if (rowCount === 0) return false;
  await client.query('update claimed_pictures set file_id = $2, next_attempt_at = null where user_id = $1', [
    userId,
    fileId,
  ]);
  return true;
}
