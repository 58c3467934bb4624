import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build, preview } from 'vite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { packClient } from '../../scripts/client-pack.ts';
import { browserTimeout, isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { createGroup } from '../support/chat.ts';
import { signUpAll, type Person } from '../support/client.ts';
import { atFileEnd } from '../support/file-end.ts';
import { startServer } from '../support/server.ts';

const run = promisify(execFile);
const modules = join(import.meta.dirname, '../../node_modules');

async function createFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-package-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Creates a folder in which the packed package is installed, together with the given packages. */
async function installPackage(...names: string[]): Promise<string> {
  const folder = await createFolder();
  const file = await pack();
  expect(file).toMatch(/\/parley-client-\d+\.\d+\.\d+\.tgz$/);
  const home = join(folder, 'node_modules/parley-client');
  await mkdir(home, { recursive: true });
  await run('tar', ['-xzf', file, '--strip-components=1', '-C', home]);
  for (const name of names) {
    await mkdir(join(folder, 'node_modules', name, '..'), { recursive: true });
    await symlink(join(modules, name), join(folder, 'node_modules', name));
  }
  return folder;
}

let packed: Promise<string> | undefined;
/** Packs the package once. */
function pack(): Promise<string> {
  packed ??= (async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-package-'));
    atFileEnd(() => rm(folder, { recursive: true, force: true }));
    return packClient(folder);
  })();
  return packed;
}

/** Returns the example under a heading of docs/clients.md. */
async function exampleOf(heading: string, language = 'ts'): Promise<string> {
  const text = await readFile(join(import.meta.dirname, '../../docs/clients.md'), 'utf8');
  const pattern = new RegExp(`^#+ ${heading}$.*?^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms');
  const [, example = ''] = pattern.exec(text) ?? [];
  expect(example, heading).not.toBe('');
  return example;
}

test('the packed package does what docs/clients.md shows', { timeout: 60_000 }, async () => {
  const server = await startServer();
  const [ada, grace] = await signUpAll(server, 'ada', 'grace');
  const chatId = await createGroup(grace, [ada]);
  const code = (await exampleOf('The client package'))
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

const options = {
  ...{ strict: true, noEmit: true, skipLibCheck: true, jsx: 'react-jsx', types: [] },
  ...{ target: 'es2023', lib: ['es2023', 'dom', 'dom.iterable'], module: 'esnext', moduleResolution: 'bundler' },
};

test('the examples with React, urql, Apollo Client and gql.tada have the types that they use', async () => {
  const folder = await installPackage(
    ...['react', 'react-dom', '@types/react', '@types/react-dom'],
    ...['@urql/core', '@apollo/client', 'graphql', 'rxjs', 'gql.tada', '@0no-co/graphql.web'],
  );
  const tada = await exampleOf('Select more, with types');
  const files = {
    'chat.tsx': await exampleOf('A chat with React', 'tsx'),
    'urql.ts': await exampleOf('urql'),
    'apollo.ts': await exampleOf('Apollo Client'),
    'tada.ts': tada,
    // A field that does not exist is a type error. The use of a nullable field without a check is also a type error.
    'wrong-field.ts': tada.replace('username\n', 'nickname\n'),
    'wrong-null.ts': tada.replace('sender?.', 'sender.'),
    'tsconfig.json': JSON.stringify({ compilerOptions: options, include: ['*.ts', '*.tsx'] }),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const compiler = run(process.execPath, [join(modules, 'typescript/bin/tsc'), '-p', folder], { cwd: folder });
  const { stdout }: { stdout: string } = await compiler.catch((error: { stdout: string }) => error);
  const wrong = stdout.match(/^[\w.-]+(?=\()/gm) ?? [];
  expect([...new Set(wrong)].toSorted(), stdout).toEqual(['wrong-field.ts', 'wrong-null.ts']);
});

describe.skipIf(!isChromiumInstalled)('in Chromium (skipped where /usr/bin/chromium is not installed)', () => {
  test('the chat with React has at most 40 lines, and two users chat with it', browserTimeout, async () => {
    const code = await exampleOf('A chat with React', 'tsx');
    expect(code.split('\n').filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(40);
    const server = await startServer();
    const [ada, grace] = await signUpAll(server, 'ada', 'grace');
    await createGroup(ada, [grace], 'Compilers');
    const folder = await installPackage('react', 'react-dom');
    await writeFile(join(folder, 'chat.tsx'), code.replace('http://localhost:4000', server.url));
    await writeFile(join(folder, 'index.html'), '<!doctype html><body><script type="module" src="/chat.tsx"></script>');
    await build({ root: folder, logLevel: 'error' });
    const site = await preview({ root: folder, logLevel: 'error', preview: { port: 0, host: '127.0.0.1' } });
    onTestFinished(() => site.close());
    const [url = ''] = site.resolvedUrls?.local ?? [];
    await using browser = await openBrowser();

    const open = async (person: Person) => {
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(url);
      await page.getByPlaceholder('Email').fill(person.email);
      await page.getByPlaceholder('Password').fill(person.password);
      await page.getByText('Sign in').click();
      await page.getByText('Compilers').click();
      return { context, page };
    };
    const [{ page: adas }, { page: graces, context }] = [await open(ada), await open(grace)];
    await graces.getByPlaceholder('Message').pressSequentially('Hello');
    await adas.getByText('grace …').waitFor();
    await graces.getByPlaceholder('Message').press('Enter');
    await adas.getByText('grace: Hello').waitFor();

    // A second tab is also signed in, and shares the stream of the first tab.
    const streams = new Set<unknown>();
    context.on('request', (request) => {
      if (request.headers()['accept'] === 'text/event-stream') streams.add(request);
    });
    const forget = (request: unknown) => void streams.delete(request);
    context.on('requestfailed', forget).on('requestfinished', forget);
    const other = await context.newPage();
    await other.goto(url);
    await other.getByText('Compilers').click();
    await other.getByText('grace: Hello').waitFor();
    await expect.poll(() => streams.size).toBe(0);
    await adas.getByPlaceholder('Message').fill('Good morning');
    await adas.getByPlaceholder('Message').press('Enter');
    for (const page of [graces, other]) await page.getByText('ada: Good morning').waitFor();
    expect(streams.size).toBe(0);
    // Delivery continues when the tab that has the stream is closed.
    await graces.close();
    await adas.getByPlaceholder('Message').fill('Still there?');
    await adas.getByPlaceholder('Message').press('Enter');
    await other.getByText('ada: Still there?').waitFor();

    // Without the server, the client shows its stored data. Messages that the user writes meanwhile are sent when the
    // server is back.
    await server.close();
    await other.reload();
    await other.getByText('Compilers').click();
    await other.getByText('ada: Still there?').waitFor();
    await other.getByPlaceholder('Message').fill('Written offline');
    await other.getByPlaceholder('Message').press('Enter');
    await other.getByText('grace: Written offline …').waitFor();
  });
});
