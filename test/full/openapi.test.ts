import { spawn } from 'node:child_process';
import { mkdtemp, rm, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { call } from '../support/rest.ts';
import { startServer } from '../support/server.ts';

const root = join(import.meta.dirname, '../..');

test(
  'a client generated from the OpenAPI description holds a conversation, and its types fit',
  { timeout: 60_000 },
  async () => {
    const server = await startServer();
    const { body: description } = await call(server, 'GET /api/openapi.json');
    // The folder is inside the project, so that the project's packages are found.
    const folder = await mkdtemp(join(root, 'test/full/generated-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, 'openapi.json'), JSON.stringify(description));
    await writeFile(join(folder, 'hook.mjs'), hook);
    await writeFile(join(folder, 'conversation.ts'), conversation);
    await writeFile(join(folder, 'tsconfig.json'), tsconfig);
    const generator = join(root, 'node_modules/openapi-typescript/bin/cli.js');
    await run(folder, ['--import', './hook.mjs', generator, 'openapi.json', '--output', 'schema.ts']);
    expect(await readFile(join(folder, 'schema.ts'), 'utf8')).toContain('sendMessage: {');
    await run(folder, [join(root, 'node_modules/typescript/bin/tsc'), '--project', '.']);
    const said = await run(folder, ['conversation.ts', server.url]);
    expect(JSON.parse(said)).toEqual({
      heard: ['Hello, Grace', 'Hello, Ada'],
      refused: 'NOT_FOUND',
    });
  },
);

/**
 * openapi-typescript needs TypeScript's API, which TypeScript 7 does not have. ts-morph includes the API of TypeScript
 * 6.
 */
const hook = `import { registerHooks } from 'node:module';
registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier === 'typescript' ? '@ts-morph/common/dist/typescript.js' : specifier, context),
});
`;

const tsconfig = JSON.stringify({
  extends: '../../../tsconfig.json',
  include: ['*.ts'],
  exclude: [],
});

const conversation = `import createClient from 'openapi-fetch';
import type { paths } from './schema.ts';

const baseUrl = process.argv[2] ?? '';
const guest = createClient<paths>({ baseUrl });

async function join(username: string) {
  const password = 'orange kettle 74 x';
  const { data } = await guest.POST('/api/signup', { body: { email: \`\${username}@example.org\`, username, password } });
  if (data === undefined || !('token' in data)) throw new Error('no token');
  const headers = { authorization: \`Bearer \${data.token}\` };
  return { id: data.user.id, api: createClient<paths>({ baseUrl, headers }) };
}

const [ada, grace] = await Promise.all([join('ada_g'), join('grace_g')]);
const chat = await ada.api.POST('/api/chats', { body: { type: 'SINGLE', memberIds: [grace.id] } });
if (chat.data === undefined) throw new Error(chat.error.detail);
const params = { path: { chatId: chat.data.id } };
await ada.api.POST('/api/chats/{chatId}/messages', { params, body: { content: 'Hello, Grace' } });
await grace.api.POST('/api/chats/{chatId}/messages', { params, body: { content: 'Hello, Ada' } });
const { data } = await ada.api.GET('/api/chats/{chatId}/messages', { params: { ...params, query: { limit: 10 } } });
const heard = data?.items.map(({ content }) => content).toReversed();
const missing = await ada.api.GET('/api/users/{userId}', { params: { path: { userId: chat.data.id } } });
console.log(JSON.stringify({ heard, refused: missing.error?.code }));
`;

/** Runs Node in a folder. Returns what Node prints, or throws an error with that output if Node fails. */
async function run(folder: string, args: string[]): Promise<string> {
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const [printed, complaints, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => child.once('close', resolve)),
  ]);
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${String(code)}: ${printed}${complaints}`);
  return printed;
}
