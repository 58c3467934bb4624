import { createHmac } from 'node:crypto';
import type { Queryable } from '../postgres/client.ts';
import { deriveKey, type AccessTokenKeys } from './token-key.ts';

/** How many of an account's latest devices are remembered. */
const maxDevices = 50;
const memory = '90 days';

/** An account, and the user agent of a sign-in to it. */
export type SeenDevice = { userId: bigint; userAgent: string | null };

/**
 * Whether the account has signed in from the device in the last 90 days. FIRST: the server remembers no device of the
 * account.
 */
export type Familiarity = 'FIRST' | 'KNOWN' | 'NEW';

/**
 * Remembers the device, forgets the account's oldest devices beyond the limit, and returns how familiar the device was.
 * The caller must have locked the user's row.
 */
export async function rememberDevice(client: Queryable, keys: AccessTokenKeys, seen: SeenDevice): Promise<Familiarity> {
  const hash = hashOf(keys, seen);
  // Reads whether this device is known, and whether any device is. Raw SQL, like the next statements, to use the
  // database's clock.
  const { rows } = await client.query<{ isKnown: boolean | null }>(
    `select bool_or(device_hash = $2 and used_at > now() - $3::interval) as "isKnown"
    from known_devices where user_id = $1`,
    [seen.userId, hash, memory],
  );
  // Stores the device, or updates the time of its last use.
  await client.query(
    `insert into known_devices (user_id, device_hash) values ($1, $2)
    on conflict (user_id, device_hash) do update set used_at = clock_timestamp()`,
    [seen.userId, hash],
  );
  // Forgets the devices beyond the limit.
  await client.query(
    `delete from known_devices where user_id = $1 and device_hash in (
      select device_hash from known_devices where user_id = $1 order by used_at desc offset $2)`,
    [seen.userId, maxDevices],
  );
  const isKnown = rows[0]?.isKnown ?? null;
  if (isKnown === null) return 'FIRST';
  return isKnown ? 'KNOWN' : 'NEW';
}

/** Ignores digits, so that the device stays the same when its browser is updated. */
function hashOf(keys: AccessTokenKeys, { userId, userAgent }: SeenDevice): Buffer {
  const kind = (userAgent ?? '').slice(0, 1_000).replace(/\d+/g, '');
  return createHmac('sha256', deriveKey(keys, 'parley known devices')).update(`${userId}\n${kind}`).digest();
}

const browsers: [name: string, sign: RegExp][] = [
  ['Edge', /\bEdgA?\//],
  ['Opera', /\bOPR\//],
  ['Samsung Internet', /\bSamsungBrowser\//],
  ['Firefox', /\b(Firefox|FxiOS)\//],
  ['Chrome', /\b(Chrome|CriOS)\//],
  ['Safari', /\bSafari\//],
];
const systems: [name: string, sign: RegExp][] = [
  ['iPhone', /\biPhone\b/],
  ['iPad', /\biPad\b/],
  ['Android', /\bAndroid\b/],
  ['Windows', /\bWindows\b/],
  ['macOS', /\bMac OS X\b/],
  ['Linux', /\bLinux\b/],
];

/**
 * Returns the name of a device for emails, for example `Firefox on Linux`. Returns null for an unknown user agent.
 * Emails never quote the user agent, because the person who signs in can choose it.
 */
export function describeDevice(userAgent: string | null): string | null {
  const find = (list: typeof browsers) => list.find(([, sign]) => sign.test(userAgent ?? ''))?.[0];
  const [browser, system] = [find(browsers), find(systems)];
  if (browser === undefined) return system ?? null;
  return system === undefined ? browser : `${browser} on ${system}`;
}
