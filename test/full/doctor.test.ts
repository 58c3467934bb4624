import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { findFreePort } from '../../src/postgres/embedded/server.ts';
import { atFileEnd } from '../support/file-end.ts';
import { TestPatient } from '../support/patient.ts';
import { startRedis, startRedisCluster } from '../support/redis.ts';

const patient = await TestPatient.create();

test('the script exits with 0 if nothing fails', async () => {
  expect(await patient.runScript({})).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('OK    database: the embedded PostgreSQL is not running'),
  });
});

test('a transaction pooler without DATABASE_DIRECT_URL is a failure, and with it is none', async () => {
  const { hostname, port, username, password, pathname } = new URL(patient.database.url);
  const bouncerPort = await findFreePort();
  const settings = [
    '[databases]',
    `* = host=${hostname} port=${port} user=${username}${password === '' ? '' : ` password=${password}`}`,
    '[pgbouncer]',
    ...['listen_addr = 127.0.0.1', `listen_port = ${bouncerPort}`, 'auth_type = any', 'pool_mode = transaction'],
    ...['ignore_startup_parameters = extra_float_digits,options', 'unix_socket_dir =', `user = nobody`],
  ];
  const path = join(patient.dataDir, 'pgbouncer.ini');
  await writeFile(path, `${settings.join('\n')}\n`);
  const bouncer = spawn('/usr/sbin/pgbouncer', ['-q', path], { stdio: 'ignore' });
  atFileEnd(() => bouncer.kill());
  const url = `postgres://${username}@127.0.0.1:${bouncerPort}${pathname}`;
  // Nothing answers until pgbouncer listens.
  await vi.waitFor(
    async () =>
      expect((await patient.see({ database: { url, directUrl: url, poolSize: 10 } })).text).toContain('OK    clock'),
    {
      timeout: 10_000,
    },
  );
  const without = await patient.see({ database: { url, directUrl: url, poolSize: 10 } });
  expect(without.text).toMatch(/^FAIL {2}LISTEN: .*set DATABASE_DIRECT_URL/m);
  const withDirect = await patient.see({ database: { url, directUrl: patient.database.url, poolSize: 10 } });
  expect(withDirect.text).toMatch(/^OK {4}LISTEN: /m);
});

test('Redis counts and passes messages, as a server and as a cluster', async () => {
  const [{ url }, cluster] = [await startRedis(), await startRedisCluster()];
  expect(await patient.seeRedis(url)).toMatch(
    /^OK {4}Redis: Redis 7\.\S+ counts, and passes messages on sharded channels$/m,
  );
  expect(await patient.seeRedis(cluster.url)).toMatch(/^OK {4}Redis: /m);
});
