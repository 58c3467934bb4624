import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { packClient } from '../../scripts/client-pack.ts';

const run = promisify(execFile);

/** Creates an otherwise empty project with these dependencies and files. */
async function createProject(dependencies: Record<string, string>, files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-project-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const manifest = { name: 'empty', private: true, type: 'module', dependencies };
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  await run('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder });
  return folder;
}

const { devDependencies } = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'));
const script = `import { createClient, type State } from 'parley-client';
const state: State = createClient({ url: 'http://x', persistence: 'indexeddb' }).state;
console.log(state.connection);
`;

test('the package installs into an empty Node project, with its types', { timeout: 180_000 }, async () => {
  const packed = await mkdtemp(join(tmpdir(), 'parley-packed-'));
  onTestFinished(() => rm(packed, { recursive: true, force: true }));
  const file = await packClient(packed);
  const folder = await createProject(
    { 'parley-client': `file:${file}`, typescript: devDependencies.typescript },
    { 'app.ts': script },
  );
  const flags = ['--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023,dom', '--strict', 'app.ts'];
  await run(process.execPath, [join(folder, 'node_modules/typescript/bin/tsc'), ...flags], { cwd: folder });
  const { stdout } = await run(process.execPath, ['app.js'], { cwd: folder });
  expect(stdout.trim()).toBe('signed-out');
});

test('the package installs into an empty Vite project', { timeout: 180_000 }, async () => {
  const packed = await mkdtemp(join(tmpdir(), 'parley-packed-'));
  onTestFinished(() => rm(packed, { recursive: true, force: true }));
  const file = await packClient(packed);
  const folder = await createProject(
    { 'parley-client': `file:${file}`, vite: devDependencies.vite },
    { 'index.html': '<!doctype html><script type="module" src="/app.ts"></script>', 'app.ts': script },
  );
  await run(process.execPath, [join(folder, 'node_modules/vite/bin/vite.js'), 'build'], { cwd: folder });
  expect(await readdir(join(folder, 'dist/assets'))).not.toEqual([]);
});
