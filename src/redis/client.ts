import type { Cluster, Redis, RedisOptions } from 'ioredis';
import type { RedisHost, RedisTarget } from './redis-url.ts';

/**
 * Time limits, in ms. `connect` is the limit for connecting, `command` is the limit for the answer to a command, and
 * `retry` is the longest pause between attempts.
 */
export const redisTimes = { connect: 2_000, command: 1_000, retry: 1_000 };

/**
 * Creates connections to Redis. A connection does not connect before `connect` is called, does not queue commands while
 * Redis is unavailable, and never sends a command twice.
 */
export type RedisClients = {
  /** The hosts that a subscriber may connect to first, or null if there is only one server. */
  readonly seeds: readonly RedisHost[] | null;
  /** Creates a connection for commands, to the server or to the whole cluster. */
  createCommander: () => Redis | Cluster;
  /** Creates a connection for subscriptions, to one server. Pass a `host` only for a cluster. */
  createSubscriber: (host: RedisHost | null) => Redis;
};

/** Loads the ioredis library, which servers without Redis never do. */
export async function loadRedisClients(target: RedisTarget): Promise<RedisClients> {
  const { Redis, Cluster } = await import('ioredis');
  const { kind, hosts, username, password, tls } = target;
  const shared = {
    ...(username !== null && { username }),
    ...(password !== null && { password }),
    ...(tls !== null && { tls }),
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: redisTimes.connect,
    commandTimeout: redisTimes.command,
    retryStrategy: retryDelay,
    connectionName: 'parley',
    disableClientInfo: true,
  } satisfies RedisOptions;
  if (kind === 'CLUSTER') {
    return {
      seeds: hosts,
      createCommander: () =>
        new Cluster(hosts, {
          lazyConnect: true,
          enableOfflineQueue: false,
          clusterRetryStrategy: retryDelay,
          slotsRefreshTimeout: redisTimes.command,
          maxRedirections: 4,
          redisOptions: shared,
          // Certificates contain host names; without TLS, addresses work just as well.
          ...(tls !== null && { dnsLookup: (address, callback) => callback(null, address) }),
        }),
      createSubscriber: (host) => new Redis({ ...shared, ...(host ?? hosts[0]) }),
    };
  }
  const place = kind === 'SERVER' ? { ...hosts[0], db: target.database } : sentinelOptions(target);
  const options = { ...shared, ...place };
  const create = () => new Redis(options);
  return { seeds: null, createCommander: create, createSubscriber: create };
}

function sentinelOptions({ hosts, service, database, sentinel, tls }: RedisTarget & { kind: 'SENTINEL' }) {
  return {
    sentinels: hosts,
    name: service,
    db: database,
    sentinelRetryStrategy: retryDelay,
    sentinelCommandTimeout: redisTimes.command,
    // Follows a failover at once, even if the old server still responds.
    failoverDetector: true,
    ...(sentinel.username !== undefined && { sentinelUsername: sentinel.username }),
    ...(sentinel.password !== undefined && { sentinelPassword: sentinel.password }),
    ...(tls !== null && { enableTLSForSentinelMode: true, sentinelTLS: tls }),
  } satisfies RedisOptions;
}

/**
 * Returns the pause before an attempt. The pause grows up to a second and is random, because a thousand nodes must not
 * reconnect at the same moment.
 */
function retryDelay(times: number): number {
  return Math.min(50 * 2 ** Math.min(times, 10), redisTimes.retry) * (0.5 + Math.random() / 2);
}
