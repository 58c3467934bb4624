import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { packClient } from '../../scripts/client-pack.ts';
import { createGroup } from '../support/chat.ts';
import { signUpAll } from '../support/client.ts';
import { startServer } from '../support/server.ts';

const run = promisify(execFile);

/** An empty project with these packages, and these files. */
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

async function createFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-package-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A folder in which the packed package is installed, and nothing else. */
async function installPackage(): Promise<string> {
  const folder = await createFolder();
  const file = await packClient(folder);
  expect(file).toMatch(/\/parley-client-\d+\.\d+\.\d+\.tgz$/);
  const home = join(folder, 'node_modules/parley-client');
  await mkdir(home, { recursive: true });
  await run('tar', ['-xzf', file, '--strip-components=1', '-C', home]);
  return folder;
}

test('the packed package does what docs/clients.md shows', { timeout: 60_000 }, async () => {
  const server = await startServer();
  const [ada, grace] = await signUpAll(server, 'ada', 'grace');
  const chatId = await createGroup(grace, [ada]);
  const text = await readFile(join(import.meta.dirname, '../../docs/clients.md'), 'utf8');
  const [, example = ''] = /^## The client package$.*?^```ts\n(.*?)^```$/ms.exec(text) ?? [];
  const code = example
    .replace('http://localhost:4000', server.url)
    .replace('indexeddb', 'memory')
    .replace('ada@example.com', ada.email)
    .replace('a long password', ada.password);
  const folder = await installPackage();
  await writeFile(join(folder, 'app.mts'), `${code}\nawait client.stop();\n`);
  const { stdout } = await run(process.execPath, ['app.mts'], { cwd: folder });
  expect(stdout).toContain('live 0');
  const { chat } = await grace.ask('query ($id: ID!) { chat(id: $id) { lastMessage { content } } }', { id: chatId });
  expect(chat.lastMessage.content).toBe('Hello from the package');
});
