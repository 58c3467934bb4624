import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createConfig, lintDocument, makeDocumentFromString, BaseResolver } from '@redocly/openapi-core';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { routes } from '../../../src/http/rest/table.ts';
import type { Data } from '../../support/client.ts';
import { call } from '../../support/rest.ts';
import type { TestServer } from '../../support/server.ts';
import { sharedServer } from '../../support/shared-server.ts';

const root = join(import.meta.dirname, '../../..');

let server: TestServer;
let description: Data;
beforeAll(async () => {
  server = await sharedServer();
  description = (await call(server, 'GET /api/openapi.json')).body;
});

test('the description is valid OpenAPI 3.1, without ambiguous paths or broken references', async () => {
  expect(description.openapi).toMatch(/^3\.1\./);
  const config = await createConfig({
    extends: ['spec'],
    rules: {
      'no-ambiguous-paths': 'error',
      'no-identical-paths': 'error',
      'operation-operationId-unique': 'error',
      'operation-operationId-url-safe': 'error',
      'operation-2xx-response': 'error',
      'operation-4xx-response': 'error',
      'operation-summary': 'error',
      'path-parameters-defined': 'error',
      'security-defined': 'error',
      'no-unresolved-refs': 'error',
      'no-unused-components': 'error',
      'no-invalid-schema-examples': 'error',
      'no-required-schema-properties-undefined': 'error',
    },
  });
  const document = makeDocumentFromString(JSON.stringify(description), 'openapi.json');
  const problems = await lintDocument({ document, externalRefResolver: new BaseResolver(), config });
  expect(problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer}`)).toEqual([]);
});

test('every row of the table is described, and what it answers is what is described', async () => {
  for (const { method, path, id } of routes) {
    expect(description.paths[path]?.[method.toLowerCase()]).toMatchObject({ operationId: id });
  }
  const { paths, components } = description;
  const send = paths['/api/chats/{chatId}/messages'].post;
  expect(send.requestBody.content['application/json'].schema).toMatchObject({
    properties: { content: { type: 'string', default: '' }, replyToId: { type: ['string', 'null'] } },
    additionalProperties: false,
  });
  expect(Object.keys(send.responses)).toEqual(['201', '400', '401', '403', '404', '409', '429', 'default']);
  expect(send.responses[201].content['application/json'].schema).toEqual({ $ref: '#/components/schemas/Message' });
  expect(components.schemas.Message.properties).toMatchObject({
    content: { type: ['string', 'null'] },
    sender: { anyOf: [{ $ref: '#/components/schemas/Author' }, { type: 'null' }] },
    createdAt: { type: 'string', format: 'date-time' },
  });
  expect(components.schemas.ChatType.enum).toContain('PUBLIC_CHANNEL');
  expect(paths['/api/signin'].post.security).toEqual([]);
  expect(Object.keys(paths['/api/signup'].post.responses)).toEqual([
    '201',
    '202',
    '400',
    '403',
    '409',
    '429',
    'default',
  ]);
  expect(components.schemas.Event.oneOf).toContainEqual({ $ref: '#/components/schemas/NewMessage' });
});

test('a client generated from it holds a conversation, and its types fit', { timeout: 60_000 }, async () => {
  // Inside the project, so that it finds the packages.
  const folder = await mkdtemp(join(root, 'test/http/rest/generated-'));
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
});

/** openapi-typescript needs the API of TypeScript, which TypeScript 7 does not have; ts-morph ships that of 6. */
const hook = `import { registerHooks } from 'node:module';
registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier === 'typescript' ? '@ts-morph/common/dist/typescript.js' : specifier, context),
});
`;

const tsconfig = JSON.stringify({
  extends: '../../../../tsconfig.json',
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

/** Runs Node in a folder; returns what it prints, and throws that too if it fails. */
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

test('the page shows it, and loads everything from this server', async () => {
  const response = await fetch(`${server.url}/api/docs`);
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
  const policy = response.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/https?:|\*|unsafe-eval/);
  const page = await response.text();
  const loaded = [...page.matchAll(/(?:src|href)="(\/[^"]*)"/g)].map(([, path]) => path);
  expect(loaded).toHaveLength(3);
  for (const path of loaded) expect((await fetch(server.url + path)).status).toBe(200);
});

test('a client that has the description does not receive it again', async () => {
  const { headers } = await call(server, 'GET /api/openapi.json');
  const etag = headers.get('etag') ?? '';
  expect((await call(server, 'GET /api/openapi.json', { headers: { 'if-none-match': etag } })).status).toBe(304);
  expect((await call(server, 'POST /api/openapi.json')).status).toBe(405);
});
