import { randomBytes } from 'node:crypto';
import { createCounters } from '../redis/counters.ts';
import { RedisAway, RedisLink } from '../redis/redis-link.ts';
import type { RedisTarget } from '../redis/redis-url.ts';
import { fail, ok, type Check, type Finding } from './check.ts';

/** The oldest major version that supports sharded channels. */
const oldest = 7;
/** How long a message may take to arrive after it is published, in ms. */
const messageMs = 1_000;

/**
 * Checks that a node can do everything in Redis that it needs to do, using key and channel names that only this check
 * uses.
 */
export function redisCheck(target: RedisTarget | null): Check {
  return { name: 'Redis', run: async () => [await checkRedis(target)] };
}

async function checkRedis(target: RedisTarget | null): Promise<Finding> {
  if (target === null) return ok('REDIS_URL is not set: the nodes share everything through PostgreSQL');
  let reason = 'no answer';
  const link = await RedisLink.open(target, (_, __, detail) => {
    if (typeof detail?.['reason'] === 'string') reason = detail['reason'];
  });
  try {
    const { version, name } = await readVersion(link);
    if (version < oldest) return fail(`${name} is too old: install Redis 7.0 or newer, or Valkey.`);
    return (await findMissing(link)) ?? ok(`${name} counts, and passes messages on sharded channels`);
  } catch (error) {
    if (!(error instanceof RedisAway)) return fail(explainRefusal(error));
    return fail(explainAbsence(reason));
  } finally {
    link.close();
  }
}

/**
 * Reads the name and version of the server. Valkey reports its own version, and also the version of Redis with which it
 * is compatible.
 */
async function readVersion(link: RedisLink): Promise<{ version: number; name: string }> {
  const info = await link.run((commander) => commander.info('server'));
  const valueOf = (field: string) => new RegExp(`^${field}:(.*?)\\r?$`, 'm').exec(info)?.[1];
  const valkey = valueOf('valkey_version');
  const redis = valueOf('redis_version') ?? '0';
  return { version: Number.parseInt(redis, 10), name: valkey === undefined ? `Redis ${redis}` : `Valkey ${valkey}` };
}

/**
 * Performs the same operations in Redis as a node. Returns a finding if something failed, and null otherwise. Rejects
 * if Redis refuses a command.
 */
async function findMissing(link: RedisLink): Promise<Finding | null> {
  const name = `parley:doctor:${randomBytes(8).toString('hex')}`;
  const counters = createCounters(link);
  await counters.rlflxIncr([name, '1', '10']);
  await counters.multi().get(name).pttl().exec();
  await counters.del(name);
  const { promise: arrival, resolve } = Promise.withResolvers<boolean>();
  const subscription = link.subscribe(name, () => resolve(true));
  const timer = setTimeout(() => resolve(false), messageMs);
  // Messages that are published before the subscription begins are lost.
  const publishing = setInterval(() => void link.publish(name, '').catch(() => undefined), 50);
  try {
    await link.publish(name, '');
    if (await arrival) return null;
    return fail(`a message on a sharded channel did not arrive: ${giveRights}`);
  } finally {
    clearTimeout(timer);
    clearInterval(publishing);
    subscription.close();
  }
}

const giveRights = 'give the user the rights that docs/operating.md lists under Redis.';

function explainRefusal(error: unknown): string {
  const text = error instanceof Error ? error.message : '';
  if (text.startsWith('NOPERM')) return `a right is missing (${text}): ${giveRights}`;
  if (text.startsWith('OOM')) return 'its memory is full: raise maxmemory, and set maxmemory-policy volatile-ttl.';
  return `it refuses commands (${text}).`;
}

function explainAbsence(reason: string): string {
  if (/^(WRONGPASS|NOAUTH)/.test(reason)) return 'it refuses the user or the password of REDIS_URL.';
  return `cannot be reached (${reason}): check the hosts and ports of REDIS_URL, redis:// or rediss://, and the firewall.`;
}
