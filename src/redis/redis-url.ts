import { readFileSync } from 'node:fs';

/** The host and port of a Redis server, or of a Sentinel. */
export type RedisHost = { host: string; port: number };

/** The options of a TLS connection. Certificates and keys are PEM. */
export type RedisTls = { ca?: Buffer; cert?: Buffer; key?: Buffer };

/** The address of Redis, and the credentials for it. `tls` is null for an unencrypted connection. */
export type RedisTarget = {
  hosts: [RedisHost, ...RedisHost[]];
  username: string | null;
  password: string | null;
  tls: RedisTls | null;
} & (
  | { kind: 'SERVER'; database: number }
  | { kind: 'CLUSTER' }
  /** `service` is the name under which the Sentinels know the servers. */
  | { kind: 'SENTINEL'; service: string; database: number; sentinel: { username?: string; password?: string } }
);

const form = /^(rediss?)(\+cluster|\+sentinel)?:\/\/(?:([^/?#]*)@)?([^/?#@]+)(\/[^?#]*)?(?:\?([^#]*))?$/i;
const schemes = 'redis://, redis+cluster:// or redis+sentinel:// (rediss instead of redis means TLS)';
const files = { sslrootcert: 'ca', sslcert: 'cert', sslkey: 'key' } as const;
const sentinelParameters = ['sentinel_username', 'sentinel_password'];
const usualPort = { server: 6379, sentinel: 26379 };

/**
 * Reads REDIS_URL: `redis://user:password@host:6379/0` names a server, `redis+cluster://host:7000,host:7001` names some
 * nodes of a cluster, and `redis+sentinel://host:26379,host:26380/service/0` names the Sentinels of a service. `rediss`
 * instead of `redis` means TLS. Throws an Error that says what is wrong; its message never contains a user name or a
 * password.
 */
export function parseRedisUrl(text: string): RedisTarget {
  const [, scheme = '', suffix = '', credentials = '', hostList = '', path = '', query = ''] = form.exec(text) ?? [];
  if (scheme === '') throw new Error(`it does not begin with ${schemes}`);
  const kind = suffix.toLowerCase();
  const parameters = new URLSearchParams(query);
  checkParameters(parameters, kind === '+sentinel');
  const hosts = parseHosts(hostList, kind === '+sentinel' ? usualPort.sentinel : usualPort.server);
  const tls = readTls(scheme.toLowerCase() === 'rediss', parameters);
  const shared = { hosts, ...parseCredentials(credentials), tls };
  const [first, second, ...more] = path.split('/').slice(1).filter(Boolean).map(decode);
  if (kind === '+cluster') {
    if (first !== undefined) throw new Error('a cluster has no numbered databases: leave out what follows the hosts');
    return { kind: 'CLUSTER', ...shared };
  }
  if (kind === '+sentinel') {
    if (first === undefined || more.length > 0) throw new Error('after the Sentinels, it must have /service/database');
    const sentinel = readSentinel(parameters);
    return { kind: 'SENTINEL', ...shared, service: first, database: parseDatabase(second), sentinel };
  }
  if (hosts.length > 1) throw new Error('it names several hosts: write redis+cluster:// or redis+sentinel://');
  if (second !== undefined) throw new Error('after the host, it may only have /database, a number');
  return { kind: 'SERVER', ...shared, database: parseDatabase(first) };
}

function parseHosts(list: string, port: number): [RedisHost, ...RedisHost[]] {
  const [first, ...others] = list.split(',').map((each) => parseHost(each, port));
  if (first === undefined) throw new Error('it names no host');
  return [first, ...others];
}

function parseHost(text: string, usual: number): RedisHost {
  const [, ipv6, name, port] = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = ipv6 ?? name;
  if (host === undefined) throw new Error('one of its hosts is not of the form host, host:port or [IPv6]:port');
  const number = Number(port ?? usual);
  if (number < 1 || number > 65_535) throw new Error('a port is not between 1 and 65535');
  return { host, port: number };
}

/** As in Redis itself, a password may be given without a user name: `redis://:password@host`. */
function parseCredentials(text: string): { username: string | null; password: string | null } {
  const colon = text.indexOf(':');
  const [username, password] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  if (username !== '' && password === '') throw new Error('it has a user name without a password');
  return { username: decode(username) || null, password: decode(password) || null };
}

function parseDatabase(text = '0'): number {
  if (!/^\d{1,5}$/.test(text)) throw new Error('the database is not a number');
  return Number(text);
}

function readTls(isOn: boolean, parameters: URLSearchParams): RedisTls | null {
  const given = Object.entries(files).filter(([name]) => parameters.has(name));
  if (!isOn && given.length > 0) throw new Error('it has a certificate, but no TLS: write rediss instead of redis');
  if (!isOn) return null;
  return Object.fromEntries(given.map(([name, key]) => [key, readPem(name, parameters.get(name) ?? '')]));
}

function readPem(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`${name} names a file that can't be read (${(error as NodeJS.ErrnoException).code})`, {
      cause: error,
    });
  }
}

function readSentinel(parameters: URLSearchParams): { username?: string; password?: string } {
  const [username, password] = sentinelParameters.map((name) => parameters.get(name));
  return { ...(username && { username }), ...(password && { password }) };
}

function checkParameters(parameters: URLSearchParams, hasSentinels: boolean): void {
  const known = [...Object.keys(files), ...(hasSentinels ? sentinelParameters : [])];
  for (const name of parameters.keys())
    if (!known.includes(name)) throw new Error(`the only parameters are ${known.join(', ')}`);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new Error('it has a % that begins no percent-encoded character', { cause: error });
  }
}
