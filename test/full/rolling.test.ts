import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { expect, onTestFinished, test } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { findFreePort } from '../../src/postgres/embedded/server.ts';
import { ask, post, signUp, type TestClient } from '../support/client.ts';
import { createDatabase } from '../support/database.ts';
import { hasNginx, startNginx } from '../support/nginx.ts';
import { runServer, type ServerProcess } from '../support/server-process.ts';
import { startTraffic } from '../support/traffic.ts';

/** How many times each of the two nodes is restarted. */
const rounds = 2;

test.runIf(hasNginx)('nodes are restarted one after the other under load, and no client sees an error', async () => {
  await using database = await createDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-data-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const ports = [await findFreePort(), await findFreePort()];
  const settings = {
    DATABASE_URL: database.url,
    JWT_KEYS: generateKeySet(),
    DATA_DIR: dataDir,
    TRUST_PROXY: '1',
    STOP_DELAY: '5s',
    RATE_LIMITS: 'off',
  };
  const start = async (index: number): Promise<ServerProcess> => {
    const node = runServer({ ...settings, PORT: String(ports[index]) });
    await node.url;
    await expect.poll(async () => (await fetch(`http://127.0.0.1:${ports[index]}/readyz`)).status).toBe(200);
    return node;
  };
  const nodes = [await start(0), await start(1)];
  const { url, readErrors } = await startNginx(ports.map((port) => ({ url: `http://127.0.0.1:${port}` })));
  const client: TestClient = {
    post: (document, variables, request) => post(url, document, variables, request),
    ask: (document, variables, token) => ask(url, document, variables, token),
  };
  const [ada, grace] = await Promise.all([signUp(client, 'ada'), signUp(client, 'grace')]);
  const traffic = await startTraffic(url, ada, grace);
  await traffic.progress(10);
  for (let round = 0; round < rounds; round += 1) {
    for (const index of nodes.keys()) {
      nodes[index]?.kill('SIGTERM');
      const ended = await nodes[index]?.ended;
      expect(ended?.status, ended?.output).toBe(0);
      await traffic.progress(10);
      nodes[index] = await start(index);
      await traffic.progress(10);
    }
  }
  const { errors, counts } = await traffic.stop();
  process.stdout.write(`${JSON.stringify(counts)}\n`);
  expect(errors, await readErrors()).toEqual([]);
  expect(counts['stream resumed']).toBeGreaterThanOrEqual(20);
});
