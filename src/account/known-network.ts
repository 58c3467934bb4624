import { createHmac } from 'node:crypto';
import type { Queryable } from '../postgres/client.ts';
import type { AccessTokenKeys } from './token-key.ts';

/** How many of an account's latest networks are remembered. */
const maxNetworks = 50;
const memory = '90 days';

/** An account, and the network address of a sign-in to it. */
export type Whereabouts = { userId: bigint; address: string };

/** Returns whether the user has signed in to the account from that network in the last 90 days. */
export async function knowsNetwork(db: Queryable, keys: AccessTokenKeys, where: Whereabouts): Promise<boolean> {
  // Raw SQL, to compare `used_at` with the database's clock, from which it was set.
  const { rowCount } = await db.query(
    `select from known_networks where user_id = $1 and network_hash = $2 and used_at > now() - $3::interval`,
    [where.userId, hashOf(keys, where), memory],
  );
  return rowCount === 1;
}

/**
 * Remembers the network, and forgets the account's oldest networks beyond the limit. The caller must have locked the
 * user's row.
 */
export async function rememberNetwork(client: Queryable, keys: AccessTokenKeys, where: Whereabouts): Promise<void> {
  // Stores the network, or updates the time of its last use. Raw SQL, because Prisma cannot express `on conflict`.
  await client.query(
    `insert into known_networks (user_id, network_hash) values ($1, $2)
    on conflict (user_id, network_hash) do update set used_at = clock_timestamp()`,
    [where.userId, hashOf(keys, where)],
  );
  // Forgets the networks beyond the limit. Raw SQL, so that one statement finds and deletes them.
  await client.query(
    `delete from known_networks where user_id = $1 and network_hash in (
      select network_hash from known_networks where user_id = $1 order by used_at desc offset $2)`,
    [where.userId, maxNetworks],
  );
}

/**
 * The hash is keyed with the server's secret. There are so few addresses that a plain hash could be reversed by trying
 * all of them.
 */
function hashOf({ signing }: AccessTokenKeys, { userId, address }: Whereabouts): Buffer {
  const secret = String(signing.key.export({ format: 'jwk' }).d);
  return createHmac('sha256', `parley known networks ${secret}`).update(`${userId}\n${address}`).digest();
}
