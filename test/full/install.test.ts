import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { runServer } from '../support/server-process.ts';

const root = join(import.meta.dirname, '../..');
const run = promisify(execFile);

/** Copies the repository without tests, installed files or generated files. */
async function copyRepository(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-install-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const left = new Set(['.git', 'node_modules', '.data', 'bench', 'test']);
  for (const name of await readdir(root)) {
    if (!left.has(name)) await cp(join(root, name), join(folder, name), { recursive: true });
  }
  for (const generated of ['src/postgres/generated', 'src/web/generated']) {
    await rm(join(folder, generated), { recursive: true, force: true });
  }
  return folder;
}

async function megabytesOf(folder: string): Promise<number> {
  const { stdout } = await run('du', ['-sm', folder]);
  return Number.parseInt(stdout, 10);
}

test('a production install stays below 450 MB, prints no warnings, and starts', async () => {
  const folder = await copyRepository();
  const { stdout, stderr } = await run('npm', ['ci'], { cwd: folder });
  expect(stderr).toBe('');
  expect(stdout.split('\n').filter((line) => /warn|deprecated/i.test(line))).toEqual([]);
  await run('npm', ['prune', '--omit=dev'], { cwd: folder });
  expect(await megabytesOf(join(folder, 'node_modules'))).toBeLessThan(450);
  const env = { DATA_DIR: join(folder, '.data') };
  const bundledNode = join(folder, 'node_modules/.bin/node');
  const server = runServer(env, [bundledNode, join(folder, 'src/main.ts')]);
  const ready = await fetch(`${await server.url}/readyz`);
  expect(ready.status).toBe(200);
  expect(await (await fetch(await server.url)).text()).toContain('<script type="module"');
  const asked = { ...env, FILE_STORE: 's3://bucket', DATA_DIR: join(folder, '.other') };
  const { status, output } = await runServer(asked, [bundledNode, join(folder, 'src/main.ts')]).ended;
  expect(status).toBe(1);
  expect(output).toContain(
    'FILE_STORE needs the AWS SDK: run `npm install --no-save --save-prod --omit=dev @aws-sdk/client-s3',
  );
});
