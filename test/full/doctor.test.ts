import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SMTPServer } from 'smtp-server';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { examine, type Patient } from '../../src/doctor/doctor.ts';
import { parseRedisUrl } from '../../src/redis/redis-url.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { startRedis, startRedisCluster } from '../support/redis.ts';

let database: TestDatabase;
let dataDir: string;
const closing: (() => unknown)[] = [];
beforeAll(async () => {
  database = await createDatabase();
  dataDir = await mkdtemp(join(tmpdir(), 'parley-doctor-'));
});
afterAll(async () => {
  for (const close of closing) await close();
  await rm(dataDir, { recursive: true });
  await database.drop();
});

/** A server on a free port; returns the port. */
async function listen(server: Server | SMTPServer): Promise<number> {
  const inner = server instanceof SMTPServer ? server.server : server;
  inner.listen(0, '127.0.0.1');
  await once(inner, 'listening');
  closing.push(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (inner.address() as AddressInfo).port;
}

/** What the doctor prints, and whether the server could run. */
async function see(changes: Partial<Patient>): Promise<{ isFit: boolean; text: string }> {
  const { url } = database;
  const healthy: Patient = {
    database: { url, directUrl: url, poolSize: 10 },
    redis: null,
    dataDir,
    fileStore: null,
    fileServing: 'stream',
    maxConnections: 10,
    smtpUrl: null,
  };
  let text = '';
  const isFit = await examine({ ...healthy, ...changes }, (lines) => void (text += lines));
  return { isFit, text };
}

/** Runs the script with these settings. */
function runScript(settings: Record<string, string>): Promise<{ code: number; stdout: string }> {
  const env = { PATH: String(process.env['PATH']), DATA_DIR: dataDir, MAX_CONNECTIONS: '10', ...settings };
  return promisify(execFile)(process.execPath, ['scripts/doctor.ts'], { env }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    (error: { code: number; stdout: string }) => error,
  );
}

test('the script exits with 0 where nothing fails', async () => {
  expect(await runScript({})).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('OK    database: the embedded PostgreSQL is not running'),
  });
});

test('a transaction pooler without DATABASE_DIRECT_URL is a failure, and with it is none', async () => {
  const { hostname, port, username, password, pathname } = new URL(database.url);
  const free = createServer();
  const bouncerPort = await listen(free);
  await new Promise((resolve) => free.close(resolve));
  closing.pop();
  const settings = [
    '[databases]',
    `* = host=${hostname} port=${port} user=${username}${password === '' ? '' : ` password=${password}`}`,
    '[pgbouncer]',
    ...['listen_addr = 127.0.0.1', `listen_port = ${bouncerPort}`, 'auth_type = any', 'pool_mode = transaction'],
    ...['ignore_startup_parameters = extra_float_digits,options', 'unix_socket_dir =', `user = nobody`],
  ];
  const path = join(dataDir, 'pgbouncer.ini');
  await writeFile(path, `${settings.join('\n')}\n`);
  const bouncer = spawn('/usr/sbin/pgbouncer', ['-q', path], { stdio: 'ignore' });
  closing.push(() => bouncer.kill());
  const url = `postgres://${username}@127.0.0.1:${bouncerPort}${pathname}`;
  // It has no answer until it listens.
  await vi.waitFor(
    async () => expect((await see({ database: { url, directUrl: url, poolSize: 10 } })).text).toContain('OK    clock'),
    {
      timeout: 10_000,
    },
  );
  const without = await see({ database: { url, directUrl: url, poolSize: 10 } });
  expect(without.text).toMatch(/^FAIL {2}LISTEN: .*set DATABASE_DIRECT_URL/m);
  const withDirect = await see({ database: { url, directUrl: database.url, poolSize: 10 } });
  expect(withDirect.text).toMatch(/^OK {4}LISTEN: /m);
});

const redisOf = async (url: string) => (await see({ database: null, redis: parseRedisUrl(url) })).text;

test('Redis counts and passes messages, as a server and as a cluster', async () => {
  const [{ url }, cluster] = [await startRedis(), await startRedisCluster()];
  expect(await redisOf(url)).toMatch(/^OK {4}Redis: Redis 7\.\S+ counts, and passes messages on sharded channels$/m);
  expect(await redisOf(cluster.url)).toMatch(/^OK {4}Redis: /m);
});
