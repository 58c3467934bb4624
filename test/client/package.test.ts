import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';
import { expect, onTestFinished, test } from 'vitest';
import { packClient } from '../../scripts/client-pack.ts';
import { createClient } from '../../src/client/client.ts';
import { createGroup } from '../support/chat.ts';
import { signUpAll } from '../support/client.ts';
import { startServer } from '../support/server.ts';
import type * as Contract from './contract.d.ts';

/** The parts that are loaded when they are first used. */
const lazyModules = [/\/upload\.ts$/, /\/file-link\.ts$/, /\/indexed-db\.ts$/, /\/keeper\.ts$/, /\/tabs\.ts$/];

const run = promisify(execFile);

async function createFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-package-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test('the package holds what its contract says', () => {
  // tsc compares the types.
  const create: (options: Contract.ClientOptions) => Contract.Client = createClient;
  expect(create({ url: 'http://localhost' }).state.connection).toBe('signed-out');
});

test('the core is at most 12 KB compressed, and needs nothing but the web platform', async () => {
  const built = await build({
    root: join(import.meta.dirname, '../../src/client'),
    logLevel: 'error',
    build: {
      write: false,
      lib: { entry: 'client.ts', formats: ['es'] },
      // Vite leaves the white space of libraries to those who use them.
      rolldownOptions: { external: lazyModules, output: { minify: true } },
    },
  });
  const chunks = (built as Rolldown.RolldownOutput[])[0]?.output ?? [];
  const bytes = chunks.reduce(
    (sum, chunk) => sum + ('code' in chunk ? gzipSync(chunk.code, { level: 9 }).length : 0),
    0,
  );
  expect(bytes).toBeLessThanOrEqual(12 * 1_024);
});

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
