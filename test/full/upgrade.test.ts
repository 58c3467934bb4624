import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { ask, post, signUp, type TestClient } from '../support/client.ts';
import { createDatabase } from '../support/database.ts';
import { atFileEnd } from '../support/file-end.ts';
import { hasNginx, startNginx } from '../support/nginx.ts';
import { runServer, type ServerProcess } from '../support/server-process.ts';
import { startTraffic } from '../support/traffic.ts';
import { findFreePort } from '../../src/postgres/embedded/server.ts';

const root = join(import.meta.dirname, '../..');
const run = promisify(execFile);

/** The last release. A shallow clone (`--depth 1`) does not contain the commit of this release. */
const { commit } = JSON.parse(await readFile(join(import.meta.dirname, 'last-release.json'), 'utf8')) as {
  commit: string;
};
const isThere = await run('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: root }).then(
  () => true,
  () => false,
);
const canRun = isThere && hasNginx;

/** A folder that contains the last release, installed from its own lock file. */
let release: string;
beforeAll(async () => {
  if (!canRun) return;
  release = await mkdtemp(join(tmpdir(), 'parley-release-'));
  atFileEnd(() => rm(release, { recursive: true }));
  const archive = join(release, 'release.tar');
  await run('git', ['archive', '--output', archive, commit], { cwd: root });
  await run('tar', ['-x', '-C', release, '-f', archive]);
  await run('npm', ['ci'], { cwd: release });
}, 1_200_000);

test.runIf(canRun)('the last release and this one serve one database together, and one can go back', async () => {
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
  const start = async (index: number, folder: string): Promise<ServerProcess> => {
    const program = [join(folder, 'node_modules/node/bin/node'), join(folder, 'src/main.ts')];
    const node = runServer({ ...settings, PORT: String(ports[index]) }, program);
    await node.url;
    await expect.poll(async () => (await fetch(`http://127.0.0.1:${ports[index]}/readyz`)).status).toBe(200);
    return node;
  };
  const next = await copyWithMigration();
  const nodes = [await start(0, release), await start(1, release)];
  const { url, readErrors } = await startNginx(ports.map((port) => ({ url: `http://127.0.0.1:${port}` })));
  const client: TestClient = {
    post: (document, variables, request) => post(url, document, variables, request),
    ask: (document, variables, token) => ask(url, document, variables, token),
  };
  const [ada, grace] = await Promise.all([signUp(client, 'ada'), signUp(client, 'grace')]);
  const traffic = await startTraffic(url, ada, grace);
  const replace = async (index: number, folder: string) => {
    nodes[index]?.kill('SIGTERM');
    await nodes[index]?.ended;
    nodes[index] = await start(index, folder);
    await traffic.progress(10);
  };
  await traffic.progress(10);
  // The new version migrates the database while the old version runs. Then a node of the old version is restarted
  // beside it.
  await replace(0, next);
  await replace(1, release);
  await replace(1, next);
  // Then both nodes go back to the old version, one at a time.
  await replace(0, release);
  await replace(1, release);
  const { errors } = await traffic.stop();
  expect(errors, await readErrors()).toEqual([]);
});

/**
 * Creates a copy of this version with one more migration, so that there is a new migration even if nothing has changed
 * since the release.
 */
async function copyWithMigration(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-next-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const name of ['src', 'prisma', 'package.json'])
    await cp(join(root, name), join(folder, name), { recursive: true });
  await run('ln', ['-s', join(root, 'node_modules'), join(folder, 'node_modules')]);
  const migration = join(folder, 'prisma/migrations/99990101000000_next');
  await run('mkdir', [migration]);
  await writeFile(join(migration, 'migration.sql'), '-- parley: expand\nalter table chats add next_note text;\n');
  return folder;
}
