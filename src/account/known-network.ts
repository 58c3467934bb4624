import { createHmac } from 'node:crypto';
import type { Queryable } from '../postgres/client.ts';
import type { AccessTokenKeys } from './token-key.ts';

/** An account's latest networks; older ones are forgotten. */
const maxNetworks = 50;
const memory = '90 days';

/** An account, and the network address that someone signs in from. */
export type Whereabouts = { userId: bigint; address: string };

/** Whether someone has signed in to the account from that network before, within 90 days. */
export async function knowsNetwork(db: Queryable, keys: AccessTokenKeys, where: Whereabouts): Promise<boolean> {
  const { rowCount } = await db.query(
    `select from known_networks where user_id = $1 and network_hash = $2 and used_at > now() - $3::interval`,
    [where.userId, hashOf(keys, where), memory],
  );
  return rowCount === 1;
}

/** Remembers it. The caller holds the account's row. */
export async function rememberNetwork(client: Queryable, keys: AccessTokenKeys, where: Whereabouts): Promise<void> {
  await client.query(
    `insert into known_networks (user_id, network_hash) values ($1, $2)
    on conflict (user_id, network_hash) do update set used_at = clock_timestamp()`,
    [where.userId, hashOf(keys, where)],
  );
  await client.query(
    `delete from known_networks where user_id = $1 and network_hash in (
      select network_hash from known_networks where user_id = $1 order by used_at desc offset $2)`,
    [where.userId, maxNetworks],
  );
}

/** There are few enough addresses to try them all, so only with the server's key can a hash be compared. */
function hashOf({ signing }: AccessTokenKeys, { userId, address }: Whereabouts): Buffer {
  const secret = String(signing.key.export({ format: 'jwk' }).d);
  return createHmac('sha256', `parley known networks ${secret}`).update(`${userId}\n${address}`).digest();
}
