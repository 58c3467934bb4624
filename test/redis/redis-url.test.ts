import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { parseRedisUrl } from '../../src/redis/redis-url.ts';

test('a URL names a server, with a user, a password and a database', () => {
  expect(parseRedisUrl('redis://ada:p%40ss@redis.example.com/3')).toEqual({
    kind: 'SERVER',
    hosts: [{ host: 'redis.example.com', port: 6379 }],
    username: 'ada',
    password: 'p@ss',
    tls: null,
    database: 3,
  });
  expect(parseRedisUrl('rediss://:secret@[::1]:7000')).toMatchObject({
    hosts: [{ host: '::1', port: 7000 }],
    username: null,
    password: 'secret',
    tls: {},
  });
});

test('a URL names the nodes of a cluster, or the Sentinels of a service', () => {
  expect(parseRedisUrl('rediss+cluster://a:7000,b')).toMatchObject({
    kind: 'CLUSTER',
    hosts: [
      { host: 'a', port: 7000 },
      { host: 'b', port: 6379 },
    ],
    tls: {},
  });
  expect(parseRedisUrl('redis+sentinel://:pw@a,b:26380/chat/2?sentinel_password=other')).toMatchObject({
    kind: 'SENTINEL',
    hosts: [
      { host: 'a', port: 26_379 },
      { host: 'b', port: 26_380 },
    ],
    service: 'chat',
    database: 2,
    sentinel: { password: 'other' },
  });
});

const mistakes: [string, string][] = [
  ['localhost:6379', 'it does not begin with redis://'],
  ['redis://user@host', 'it has a user name without a password'],
  ['redis://a,b', 'it names several hosts'],
  ['redis://host/one', 'the database is not a number'],
  ['redis://host:99999', 'a port is not between 1 and 65535'],
  ['redis+cluster://a,b/1', 'a cluster has no numbered databases'],
  ['redis+sentinel://a', 'after the Sentinels, it must have /service/database'],
  ['redis://host?ssl=1', 'the only parameters are sslrootcert, sslcert, sslkey'],
  ['redis://host?sslrootcert=/ca.pem', 'it has a certificate, but no TLS'],
  ['rediss://host?sslrootcert=/no/such/file', "sslrootcert names a file that can't be read (ENOENT)"],
];

test.for(mistakes)('%s is refused: %s', ([url, problem]) => {
  expect(() => parseRedisUrl(url)).toThrow(problem);
});

test('an invalid REDIS_URL is reported like other settings, without its password', () => {
  const read = () => readConfig({ REDIS_URL: 'redis://ada:s3cret@host/one' });
  expect(read).toThrow(/REDIS_URL: a URL such as redis.*got a value that is not shown: the database is not a number/);
  expect(read).not.toThrow(/s3cret/);
});
