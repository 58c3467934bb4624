import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { apiLevel } from '../src/api/feature.ts';
import { eventLimits, operationLimits } from '../src/api/measure.ts';
import { requestLimits } from '../src/api/request.ts';
import { maxEmailLength } from '../src/account/email.ts';
import { maxPasswordLength, minPasswordLength } from '../src/account/password.ts';
import { maxMembersPerCall } from '../src/chat/chat.ts';
import { maxInvites, maxInviteUses } from '../src/chat/invite.ts';
import { maxSlowModeSeconds } from '../src/chat/slow-mode.ts';
import { readConfig, settings } from '../src/config.ts';
import { activityRules } from '../src/core/limit.ts';
import { maxContentLength, maxDescriptionLength, maxNameLength } from '../src/core/text.ts';
import { maxArriving } from '../src/file/arrival.ts';
import { maxFileNameLength } from '../src/file/file-name.ts';
import { maxFiles } from '../src/file/file.ts';
import { routes } from '../src/http/rest/table.ts';
import { maxMentions } from '../src/message/mention.ts';
import { maxEdits } from '../src/message/message-edit.ts';
import { maxPins } from '../src/message/pin.ts';
import { maxEmoji } from '../src/message/reaction.ts';
import { maxSearchLength, maxSearchWords } from '../src/search/search.ts';
import { createBot, createProgram } from './support/api-key.ts';
import { asSuperuser } from './support/database.ts';
import { createGroup, keyOf, say } from './support/chat.ts';
import { signIn, signUp, type Data, type Person } from './support/client.ts';
import { upload } from './support/file.ts';
import { issuersEnv, TestIssuer } from './support/issuer.ts';
import { startServer, type TestServer } from './support/server.ts';
import { freeNames } from './support/shared-server.ts';
import { jsonIn, readZip } from './support/zip.ts';
import { reportMessage, setRoleWithSql } from './support/staff.ts';
import { webhookEnv, WebhookReceiver, webhookTimes } from './support/webhook.ts';

const root = join(import.meta.dirname, '..');
const read = (path: string) => readFile(join(root, path), 'utf8');

const documents = new Map<string, string>();
for (const path of ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...(await listFiles('docs'))]) {
  if (path.endsWith('.webp')) continue;
  documents.set(path, await read(path));
}

const isCurlInstalled = spawnSync('curl', ['--version']).error === undefined;
const isPythonInstalled = spawnSync('python3', ['--version']).error === undefined;
const stockClients = ['graphql-sse', 'urql', 'Apollo Client', 'Relay', 'EventSource'];

describe('examples run as they are:', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
  });
  // Each example begins with new users, who may have the same names as the users of earlier examples.
  afterEach(() => freeNames(server));

  test.skipIf(!isCurlInstalled)('the first conversation, with curl alone (skipped without curl)', async () => {
    const bash = run('bash', []);
    for (const block of blocksIn('README.md', 'bash')) {
      if (block.startsWith('kill')) await bash.says('"content":"Hello, Grace"');
      bash.write(pointAt(server.url, block));
      if (block.startsWith('curl')) await bash.says('"CaughtUp"');
    }
    bash.write('exit\n');
    expect(await bash.exitCode).toBe(0);
    const frames = bash.lines.filter((line) => line.startsWith('data: ')).map((line) => JSON.parse(line.slice(6)));
    expect(frames.map(({ data }) => data.events.event)).toEqual([
      { __typename: 'CaughtUp' },
      { __typename: 'NewMessage', message: { seq: 1, content: 'Hello, Grace', sender: { username: 'ada' } } },
    ]);
  });

  test.each(stockClients)('%s', async (heading) => {
    const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
    const chatId = await createGroup(ada, [grace]);
    const { streamToken } = await grace.ask('mutation { streamToken }');
    const [example = ''] = blocksIn('docs/clients.md', 'js', heading);
    const code = [
      `const accessToken = () => '${grace.token}', streamToken = '${streamToken}';`,
      pointAt(server.url, example),
      heading === 'Relay' ? subscribeWithRelay : '',
    ];
    const client = run(process.execPath, ['--experimental-eventsource', '--input-type=module', '-e', code.join('\n')]);
    await client.says('CaughtUp');
    await say(ada, chatId, `seen with ${heading}`);
    await client.says(`seen with ${heading}`);
    expect(client.lines.join('\n')).toContain('NewMessage');
  });

  test('graphql-sse, with one connection for everything', async () => {
    const grace = await signUp(server, 'grace');
    const [example = ''] = blocksIn('docs/clients.md', 'js', 'graphql-sse');
    const code = `const accessToken = () => '${grace.token}';\n${pointAt(server.url, example)}`;
    expect(code).toContain('singleConnection: false');
    const single = code.replace('singleConnection: false', 'singleConnection: true');
    const client = run(process.execPath, ['--input-type=module', '-e', single]);
    await client.says('CaughtUp');
    const { rows } = await server.sql.query('select state from stream_operations');
    expect(rows).toEqual([{ state: 'RUNNING' }]);
  });

  test.skipIf(!isCurlInstalled)('a conversation by REST, with curl alone (skipped without curl)', async () => {
    const bash = run('bash', []);
    for (const block of blocksIn('docs/rest.md', 'bash')) {
      bash.write(pointAt(server.url, block));
      if (block.startsWith('curl')) await bash.says('event: CaughtUp');
    }
    await bash.says('event: ReactionsChanged');
    bash.write('kill %1\nexit\n');
    expect(await bash.exitCode).toBe(0);
    const [page = ''] = bash.lines.filter((line) => line.startsWith('{"items"'));
    expect(JSON.parse(page)).toMatchObject({
      items: [{ seq: 1, content: 'Hello, Dorothy', sender: { username: 'mary' } }],
    });
    const events = bash.lines.filter((line) => line.startsWith('event: '));
    expect(events).toEqual(['event: CaughtUp', 'event: NewMessage', 'event: ReactionsChanged']);
  });

  test('REST with Node', async () => {
    const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
    const names = ['one', 'two', 'three'];
    for (const name of names) await createGroup(ada, [grace], name);
    const [example = ''] = blocksIn('docs/rest.md', 'js');
    const code = `const token = '${ada.token}';\n${pointAt(server.url, example)}`;
    const client = run(process.execPath, ['--input-type=module', '-e', code]);
    expect(await client.exitCode).toBe(0);
    expect(client.lines.toSorted()).toEqual(names.map((name) => `greeted ${name}`).toSorted());
  });

  test.skipIf(!isPythonInstalled)('REST with Python (skipped without Python)', async () => {
    const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
    await createGroup(ada, [grace]);
    const [example = ''] = blocksIn('docs/rest.md', 'python');
    const client = run('python3', ['-c', `token = "${ada.token}"\n${pointAt(server.url, example)}`]);
    expect(await client.exitCode).toBe(0);
    expect(client.lines).toEqual(['Hello from Python']);
  });

  test('a problem of REST', async () => {
    const ada = await signUp(server, 'ada');
    const headers = { authorization: `Bearer ${ada.token}` };
    const response = await fetch(`${server.url}/api/search?q=x&limit=51`, { headers });
    expect(await response.json()).toEqual(JSON.parse(blocksIn('docs/rest.md', 'json')[0] ?? ''));
  });

  test('the client package', async () => {
    const ada = await signUp(server, 'ada');
    const chatId = await createGroup(ada, [await signUp(server, 'grace')]);
    const [example = ''] = blocksIn('docs/clients.md', 'ts', 'The client package');
    const code = pointAt(server.url, example)
      .replace("'parley-client'", `'${join(root, 'src/client/client.ts')}'`)
      // Node has no IndexedDB.
      .replace("'indexeddb'", "'memory'")
      .replace('a long password', ada.password)
      .replace('ada@example.com', ada.email);
    const client = run(process.execPath, ['--input-type=module-typescript', '-e', `${code}\nawait client.stop();`]);
    await client.says('live');
    expect(await client.exitCode).toBe(0);
    const { rows } = await server.sql.query('select content from messages where chat_id = $1', [keyOf(chatId)]);
    expect(rows).toEqual([{ content: 'Hello from the package' }]);
  });

  test('the query that fetches the chats', async () => {
    const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
    const chatId = await createGroup(ada, [grace]);
    await say(ada, chatId, 'hello');
    const [document = ''] = blocksIn('docs/clients.md', 'graphql');
    const { viewer } = await ada.ask(document);
    expect(viewer.eventCursor).toMatch(/^[0-9a-f]+\.\d+$/);
    expect(viewer.chats.edges[0].node.messages.edges[0].node).toEqual({ seq: 1, content: 'hello' });
  });

  test('the query that renews the links of a cached page', async () => {
    const ada = await signUp(server, 'ada');
    const { id } = await upload(server, ada, 'a file');
    const [, document = ''] = blocksIn('docs/clients.md', 'graphql');
    const linkFor = async (by: Person) => (await by.ask(document, { ids: [id] })).nodes[0].url;
    const elsewhere = await signIn(server, ada);
    const old = await linkFor(elsewhere);
    expect((await fetch(server.url + old)).status).toBe(200);
    await elsewhere.ask('mutation { signOut }');
    expect((await fetch(server.url + old)).status).not.toBe(200);
    expect((await fetch(server.url + (await linkFor(ada)))).status).toBe(200);
  });

  test('what an owner may do, and a ban', async () => {
    const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
    const chatId = await createGroup(ada, [grace]);
    await say(grace, chatId, 'hello');
    const [query = '', mutation = ''] = blocksIn('docs/moderation.md', 'graphql');
    const { chat } = await ada.ask(query, { chatId });
    expect(chat.viewerCan).toContain('BAN_MEMBER');
    expect(chat.messages.edges[0].node.viewerCan).toContain('DELETE');
    expect((await ada.ask(mutation, { chatId, userId: grace.userId })).banMember).toEqual({
      __typename: 'Ban',
      until: '2030-01-01T00:00:00.000Z',
      reason: 'Spam.',
    });
  });

  test('an invite, its preview and its use', async () => {
    const [ada, grace, linus] = [
      await signUp(server, 'ada'),
      await signUp(server, 'grace'),
      await signUp(server, 'linus'),
    ];
    const chatId = await createGroup(ada, [grace], 'a party');
    const [create = '', preview = '', use = ''] = blocksIn('docs/invites.md', 'graphql');
    const { code, usesLeft } = (await ada.ask(create, { chatId })).createInvite;
    expect(usesLeft).toBe(10);
    expect(await server.ask(preview, { code })).toEqual({ invite: { chatName: 'a party' } });
    expect((await linus.ask(use, { code })).joinByInvite).toEqual({ __typename: 'Chat', id: chatId });
  });

  test('the query that opens a report, and a suspension with SQL', async () => {
    const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
    await setRoleWithSql(server, ada, 'MODERATOR');
    const { id } = await reportMessage(ada, await say(grace, await createGroup(grace, [ada]), 'hello'));
    const [, , document = ''] = blocksIn('docs/moderation.md', 'graphql');
    expect((await ada.ask(document, { id })).node).toMatchObject({ content: 'hello', files: [] });
    const [statement = ''] = blocksIn('docs/moderation.md', 'sql');
    await server.sql.query(statement.replace('12', keyOf(grace.userId)));
    expect((await server.sql.query('select from sessions where user_id = $1', [keyOf(grace.userId)])).rowCount).toBe(0);
  });

  test('resumable uploads', async () => {
    const ada = await signUp(server, 'ada');
    const [example = ''] = blocksIn('docs/files.md', 'js');
    const code = [
      `const accessToken = () => '${ada.token}', file = Buffer.alloc(1_000_000, 'x');`,
      pointAt(server.url, example),
    ];
    const client = run(process.execPath, ['--input-type=module', '-e', code.join('\n')]);
    expect(await client.exitCode).toBe(0);
    const [id = ''] = client.lines;
    const document = 'query ($id: ID!) { node(id: $id) { ... on File { name size contentType } } }';
    expect(await ada.ask(document, { id })).toEqual({
      node: { name: 'large.bin', size: 1_000_000, contentType: 'text/plain' },
    });
  });

  test.skipIf(!isCurlInstalled)('an upload with curl, and the response to it (skipped without curl)', async () => {
    const ada = await signUp(server, 'ada');
    const folder = await mkdtemp(join(tmpdir(), 'parley-readme-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const onePixel = 'R0lGODlhAQABAPAAAP8AAP///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==';
    await writeFile(join(folder, 'picture.png'), Buffer.from(onePixel, 'base64'));
    const [command = ''] = blocksIn('docs/files.md', 'bash');
    const [example = ''] = blocksIn('docs/files.md', 'json');
    const bash = run('bash', ['-c', `ada_token=${ada.token}; cd ${folder}; ${pointAt(server.url, command)}`]);
    expect(await bash.exitCode).toBe(0);
    const { files } = JSON.parse(bash.lines.join(''));
    expect(files).toMatchObject([{ name: 'picture.png', contentType: 'image/gif' }]);
    expect(Object.keys(files[0])).toEqual(Object.keys(JSON.parse(example).files[0]));
  });

  test.skipIf(!isCurlInstalled)('the recipe for your own JWT (skipped without curl)', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-recipe-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const [script = ''] = blocksIn('docs/identity.md', 'js');
    const file = join(folder, 'issuers.json');
    const code = script.replace("'issuers.json'", JSON.stringify(file));
    const signer = run(process.execPath, ['--input-type=module', '-e', code]);
    expect(await signer.exitCode).toBe(0);
    await using own = await startServer({ env: { AUTH_ISSUERS: file, PASSWORDS: 'false' } });
    const [command = ''] = blocksIn('docs/identity.md', 'bash');
    const bash = run('bash', ['-c', `token=${signer.lines[0]}; ${pointAt(own.url, command)}`]);
    expect(await bash.exitCode).toBe(0);
    const [answer = ''] = blocksIn('docs/identity.md', 'json');
    expect(JSON.parse(bash.lines.join(''))).toEqual(JSON.parse(answer));
  });

  test.skipIf(!isCurlInstalled)('the recipe for OpenID Connect, with curl (skipped without curl)', async () => {
    const provider = await TestIssuer.start();
    await using own = await startServer({ env: issuersEnv(provider) });
    const [, command = ''] = blocksIn('docs/identity.md', 'bash');
    const token = await provider.issue({ sub: '42', preferred_username: 'ada' });
    const bash = run('bash', ['-c', `token=${token}; ${pointAt(own.url, command)}`]);
    expect(await bash.exitCode).toBe(0);
    expect(JSON.parse(bash.lines.join(''))).toMatchObject({ hasPassword: false, user: { username: 'ada' } });
  });

  test.skipIf(!isCurlInstalled)('an export with curl (skipped without curl)', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-export-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const ada = await signUp(server, 'ada');
    const [, , command = ''] = blocksIn('docs/identity.md', 'bash');
    const values = `token=${ada.token}; password=${ada.password}; cd ${folder}`;
    const bash = run('bash', ['-c', `${values}; ${pointAt(server.url, command)}`]);
    expect(await bash.exitCode).toBe(0);
    const files = await readZip(await readFile(join(folder, 'export.zip')));
    expect(jsonIn(files, 'profile.json')).toMatchObject({ username: 'ada' });
  });

  test('the recipes for OpenID Connect and Supabase are valid settings', () => {
    const [, ...recipes] = blocksIn('docs/identity.md', 'json');
    for (const recipe of recipes) expect(readConfig({ AUTH_ISSUERS: recipe }).authIssuers).toHaveLength(1);
  });

  test.skipIf(!isCurlInstalled)('the readiness check with curl (skipped without curl)', async () => {
    const [command = ''] = blocksIn('docs/operating.md', 'bash');
    const bash = run('bash', ['-c', pointAt(server.url, command)]);
    expect(await bash.exitCode).toBe(0);
    expect(bash.lines).toEqual(['{"status":"ok"} 200']);
  });

  test.skipIf(!isCurlInstalled)('a stored document, with curl alone (skipped without curl)', async () => {
    const ada = await signUp(server, 'ada');
    const [commands = ''] = blocksIn('docs/stored-documents.md', 'bash');
    const bash = run('bash', [
      '-c',
      `token=${ada.token}\n${pointAt(server.url, commands).replaceAll('curl -s', "curl -sw '\\n'")}`,
    ]);
    expect(await bash.exitCode).toBe(0);
    const answer = { data: { viewer: { user: { username: 'ada' } } } };
    expect(bash.lines.map((line) => JSON.parse(line))).toEqual([answer, answer]);
  });

  test('a back end with an API key: curl, Node and Python (each skipped where it is missing)', async () => {
    const admin = await signUp(server, 'ada');
    await setRoleWithSql(server, admin, 'ADMIN');
    const scopes = ['USERS_READ', 'USERS_WRITE', 'CHATS_READ', 'CHATS_WRITE', 'ACT_AS'];
    const [{ token }, bot] = [
      await createProgram(server, admin, scopes),
      await createBot(server, admin, { username: 'courier' }),
    ];
    const examples = (language: string) => pointAt(server.url, blocksIn('docs/integration.md', language)[0] ?? '');
    const commands = `KEY=${token}; set -e\n${examples('bash').replaceAll('curl -s', "curl -sw '\\n'")}`;
    const bash = isCurlInstalled ? run('bash', ['-c', commands]) : null;
    expect((await bash?.exitCode) ?? 0).toBe(0);
    const expected = [{ upsertUser: { key: 'customer:7' } }, { updateProfile: { displayName: 'Maria' } }];
    expect(bash?.lines.map((line) => JSON.parse(line).data) ?? expected).toEqual(expected);
    const { userId } = await signUp(server, 'grace');
    const values = `process.env.KEY = '${token}'; process.env.USER_ID = '${userId}';`;
    const node = run(process.execPath, ['--input-type=module', '-e', `${values}\n${examples('js')}`]);
    expect(await node.exitCode).toBe(0);
    expect(node.lines.join(' ')).toContain('accessToken');
    const chatId = await createGroup(admin, [bot]);
    const setting = `import os; os.environ.update(KEY='${bot.token}', CHAT_ID='${chatId}')`;
    const python = isPythonInstalled ? run('python3', ['-c', `${setting}\n${examples('python')}`]) : null;
    expect((await python?.exitCode) ?? 0).toBe(0);
    const sent = { content: 'Your order is on its way.', sender: { kind: 'BOT' } };
    expect(JSON.parse(python?.lines.join('') ?? JSON.stringify(sent))).toEqual(sent);
  });

  test.skipIf(!isCurlInstalled)('the chat of an order, with curl (skipped without curl)', async () => {
    const receiver = await WebhookReceiver.start();
    await using own = await startServer({ env: webhookEnv, overrides: { webhookTimes } });
    const admin = await signUp(own, 'ada');
    await setRoleWithSql(own, admin, 'ADMIN');
    const resources = ['USERS', 'CHATS', 'MESSAGES'].flatMap((name) => [`${name}_READ`, `${name}_WRITE`]);
    const { token } = await createProgram(own, admin, [...resources, 'WEBHOOKS', 'ADMIN', 'ACT_AS']);
    const walk = (blocksIn('docs/integration.md', 'bash')[1] ?? '').replace(/https:[^"\\]*/, receiver.url);
    const bash = run('bash', ['-c', `KEY=${token}; set -e\n${pointAt(own.url, walk)}`]);
    expect(await bash.exitCode).toBe(0);
    await receiver.until(({ received }) => received.some(({ body }) => body.includes('Thank you!')));
    const events = receiver.received.flatMap(({ json }) => json.data?.allEvents.event.message ?? []);
    expect(events).toEqual([
      { content: 'Your order is on its way.', sender: { key: null }, chat: { key: 'order:42' } },
      { content: 'Thank you!', sender: { key: 'customer:7' }, chat: { key: 'order:42' } },
    ]);
  });

  test.skipIf(!isCurlInstalled)('an import with curl (skipped without curl)', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-import-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const admin = await signUp(server, 'root');
    await setRoleWithSql(server, admin, 'ADMIN');
    const { token } = await createProgram(server, admin, ['USERS_WRITE', 'CHATS_WRITE', 'MESSAGES_WRITE']);
    const [history = '', report = ''] = blocksIn('docs/import.md', 'json');
    await writeFile(join(folder, 'history.jsonl'), history);
    const [command = ''] = blocksIn('docs/import.md', 'bash');
    const bash = run('bash', ['-c', `KEY=${token}; cd ${folder}; ${pointAt(server.url, command)}`]);
    expect(await bash.exitCode).toBe(0);
    expect(JSON.parse(bash.lines.join(''))).toEqual(JSON.parse(report));
  });

  test('a webhook: its creation, its body, and the verification of its signature', async () => {
    const receiver = await WebhookReceiver.start();
    await using own = await startServer({ env: webhookEnv, overrides: { webhookTimes } });
    const [ada, grace] = [await signUp(own, 'ada'), await signUp(own, 'grace')];
    await setRoleWithSql(own, ada, 'ADMIN');
    const [mutation = ''] = blocksIn('docs/webhooks.md', 'graphql');
    const { createWebhook } = await ada.ask(mutation.replace(/https:[^"]*/, receiver.url));
    await say(grace, await createGroup(grace, [ada]), 'hello');
    await receiver.until(({ contents }) => contents.length > 0);
    const { body, headers } = receiver.received.at(-1) ?? { body: '', headers: {} };
    const [example = ''] = blocksIn('docs/webhooks.md', 'json');
    const shapeOf = ({ data: { events } }: Data) => [Object.keys(events), events.event.__typename];
    expect(shapeOf(JSON.parse(body))).toEqual(shapeOf(JSON.parse(example)));
    const [code = ''] = blocksIn('docs/webhooks.md', 'ts');
    const given = `const body = ${JSON.stringify(body)}, request = { headers: ${JSON.stringify(headers)} };`;
    const script = `${given}\n${code.replace('whsec_…', createWebhook.secret)}\nconsole.log(JSON.stringify(event));`;
    const node = run(process.execPath, ['--input-type=module', '-e', script]);
    expect(await node.exitCode).toBe(0);
    expect(node.lines).toEqual([body]);
  });

  test.skipIf(!isCurlInstalled)('an incoming webhook, with curl alone (skipped without curl)', async () => {
    const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
    const chatId = await createGroup(ada, [grace]);
    const [mutation = ''] = blocksIn('docs/incoming-webhooks.md', 'graphql');
    const { url } = (await ada.ask(mutation, { chatId })).createIncomingWebhook;
    const commands = blocksIn('docs/incoming-webhooks.md', 'bash');
    const bash = run('bash', ['-c', `url=${url}\n${pointAt(server.url, commands.join('\n'))}`]);
    expect(await bash.exitCode).toBe(0);
    expect(bash.lines).toEqual(['ok']);
    const { chat } = await grace.ask(
      'query ($id: ID!) { chat: node(id: $id) { ... on Chat { messages(last: 2) { edges { node { content } } } } } }',
      { id: chatId },
    );
    expect(chat.messages.edges.map(({ node }: Data) => node.content)).toEqual([
      'Build 42 passed',
      'Build [42](https://ci.example.com/42) passed',
    ]);
  });

  test('the version and the level of the API', async () => {
    const [query = ''] = blocksIn('docs/api-policy.md', 'graphql');
    const { version } = JSON.parse(await read('package.json'));
    expect(await server.ask(query)).toEqual({
      api: { version, level: apiLevel, features: expect.arrayContaining(['SIGN_UP', 'FILES']) },
    });
  });

  test('SQL for an operator', async () => {
    const [statement = ''] = blocksIn('docs/operating.md', 'sql');
    await asSuperuser(server.database, (client) =>
      expect(client.query(`begin; create role parley; ${statement}; rollback`)).resolves.toBeTruthy(),
    );
  });

  test('npm scripts', async () => {
    const { scripts } = JSON.parse(await read('package.json'));
    const used = [...documents.values()].flatMap((text) =>
      [...text.matchAll(/\bnpm (?:run (?:-s )?([\w:-]+)|(start|test))/g)].map(([, name, short]) => name ?? short ?? ''),
    );
    expect(used.length).toBeGreaterThan(5);
    expect(used.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });

  test('no other block could be run', () => {
    const blocks = [...documents].flatMap(([path, text]) =>
      [...text.matchAll(/^ *```(\w+)\n(.*?)^ *```$/gms)].map(([, language, code = '']) => ({ path, language, code })),
    );
    const npm = blocks.filter(({ language }) => language === 'sh');
    expect(npm.flatMap(({ code }) => code.trim().split('\n')).filter((line) => !line.startsWith('npm '))).toEqual([]);
    const found = blocks.filter(({ language }) => language !== 'sh').map(({ path, language }) => `${path} ${language}`);
    const tested = [
      ...['README.md mermaid', 'README.md bash', 'README.md bash', 'README.md bash', 'README.md bash'],
      ...[
        'docs/clients.md graphql',
        'docs/clients.md graphql',
        'docs/clients.md ts',
        'docs/clients.md ts',
        // Tested by test/full/client-example.test.ts.
        ...['docs/clients.md tsx', 'docs/clients.md ts', 'docs/clients.md ts', 'docs/clients.md ts'],
        ...stockClients.map(() => 'docs/clients.md js'),
      ],
      ...['docs/files.md bash', 'docs/files.md json', 'docs/files.md js'],
      ...['docs/invites.md graphql', 'docs/invites.md graphql', 'docs/invites.md graphql'],
      ...['docs/moderation.md graphql', 'docs/moderation.md graphql', 'docs/moderation.md graphql'],
      'docs/moderation.md sql',
      ...['docs/operating.md sql', 'docs/operating.md bash', 'docs/operating.md text', 'docs/stored-documents.md bash'],
      'docs/api-policy.md graphql',
      ...['docs/rest.md bash', 'docs/rest.md bash', 'docs/rest.md bash', 'docs/rest.md js', 'docs/rest.md python'],
      'docs/rest.md json',
      'docs/search.md graphql',
      ...[
        'docs/integration.md bash',
        'docs/integration.md bash',
        'docs/integration.md js',
        'docs/integration.md python',
      ],
      ...['docs/import.md bash', 'docs/import.md json', 'docs/import.md json'],
      ...['docs/webhooks.md graphql', 'docs/webhooks.md json', 'docs/webhooks.md ts'],
      ...['docs/incoming-webhooks.md graphql', 'docs/incoming-webhooks.md bash', 'docs/incoming-webhooks.md bash'],
      ...['docs/identity.md js', ...['bash', 'bash', 'bash', 'json'].map((language) => `docs/identity.md ${language}`)],
      ...['docs/identity.md json', 'docs/identity.md json', 'docs/identity.md json'],
      // An operator's commands change the machine, so no test runs these commands.
      ...Array.from({ length: 10 }, () => 'docs/operating.md shell'),
      // Tested by test/full/contributing.test.ts.
      ...['sql', 'prisma', 'ts', 'ts', 'ts', 'ts', 'ts', 'md'].map((language) => `CONTRIBUTING.md ${language}`),
    ];
    expect(found.toSorted()).toEqual(tested.toSorted());
  });
});

describe('what the documents say is true:', () => {
  test('the README is at most 8 KB long', () => {
    expect(Buffer.byteLength(documentAt('README.md'))).toBeLessThanOrEqual(8_192);
  });

  test('each figure of the README is in the results of its command', async () => {
    const rows = sectionOf('README.md', 'Figures').match(/^\|.*`npm run .*$/gm) ?? [];
    expect(rows).toHaveLength(4);
    for (const row of rows) {
      const [, , figure = '', command = ''] = row.split('|');
      const results = (await read(`bench/results/${/bench:(\w+)/.exec(command)?.[1]}.md`)).replaceAll(',', '');
      const missing = [...figure.matchAll(/(?<![\w.])\d+(\.\d+)?/g)]
        .map(([number]) => number)
        .filter((number) => !new RegExp(`(?<![\\d.])${number.replace('.', '\\.')}(?![\\d.]*\\d)`).test(results));
      expect(missing, row).toEqual([]);
    }
  });

  test('configuration.md lists every setting, with its value and meaning', () => {
    const rows = documentAt('docs/configuration.md').match(/^\| `.*$/gm) ?? [];
    expect(rows.map((row) => row.split('|').map((cell) => cell.trim()))).toEqual(
      Object.values(settings).map(({ name, default: value, wants, meaning }) => {
        return ['', `\`${name}\``, value === null ? '' : `\`${value}\``, wants.description, meaning, ''];
      }),
    );
  });

  test('clients.md lists how often each activity is allowed', () => {
    const rows = sectionOf('docs/clients.md', 'How often').match(/^\| .*$/gm) ?? [];
    expect(rows.slice(2).map((row) => row.split('|').map((cell) => cell.trim()))).toEqual(
      Object.values(activityRules).map(({ activity, quotas: { session, account, address } }) => {
        return ['', activity, session, account, address, ''];
      }),
    );
  });

  test('rest.md lists every route, with its summary', () => {
    const listed = sectionOf('docs/rest.md', 'Routes').match(/^\| `.*$/gm) ?? [];
    const cells = listed.map((row) => row.split('|').map((cell) => cell.trim()));
    for (const { method, path, summary } of routes) {
      expect(cells).toContainEqual(['', `\`${method} ${path}\``, summary, '']);
    }
    // Five of the listed routes are not in `routes`, because they have separate handlers.
    expect(listed).toHaveLength(routes.length + 5);
  });

  test('the data model lists every table', async () => {
    const schema = await read('prisma/schema.prisma');
    const tables = [...schema.matchAll(/^model .*?@@map\("(\w+)"\)/gms)].map(([, name = '']) => name);
    expect(tables).toContain('messages');
    const rows = sectionOf('docs/architecture.md', 'The data model').match(/^\| `.*?\|/gm) ?? [];
    const listed = rows.flatMap((row) => [...row.matchAll(/`(\w+)`/g)].map(([, name = '']) => name));
    expect(listed.toSorted()).toEqual(tables.toSorted());
  });

  test('the import table matches the linter’s', async () => {
    expect(readImportTable()).toEqual(await readLintedImports());
  });

  test.each<[string, number[]]>([
    ['Body of a GraphQL request', [requestLimits.maxBodyBytes]],
    ['Document', [requestLimits.maxTokens]],
    ['Depth, breadth, complexity, bytes of an operation', Object.values(operationLimits)],
    ['Complexity, bytes of one subscription event', [eventLimits.complexity, eventLimits.bytes]],
    ['Message', [maxContentLength]],
    ['Files in a message; files in an upload', [maxFiles]],
    ['Edits to a message', [maxEdits]],
    ['Different emoji on a message', [maxEmoji]],
    ['Mentions in a message', [maxMentions]],
    ['Reason for a ban', [maxDescriptionLength]],
    ['Slow mode', [maxSlowModeSeconds]],
    ['Usable invites to a chat; uses of one', [maxInvites, maxInviteUses]],
    ['Pins in a chat', [maxPins]],
    ['Names, `clientMessageId`', [maxNameLength]],
    ['Email address', [maxEmailLength]],
    ['File name', [maxFileNameLength]],
    ['Uploads in progress per person; per network; per node', Object.values(maxArriving)],
    ['Chat description', [maxDescriptionLength]],
    ['`addMembers`, `createChat(memberIds:)`', [maxMembersPerCall]],
    ['`searchMessages(query:)`', [maxSearchLength, maxSearchWords]],
    ['Password', [minPasswordLength, maxPasswordLength]],
  ])('the limit of %s', (what, limits) => {
    const row = sectionOf('docs/clients.md', 'Limits')
      .split('\n')
      .find((line) => line.startsWith(`| ${what} `));
    const numbers = [...(row?.split('|')[2] ?? '').matchAll(/\d[\d,]*/g)].map(([number]) =>
      Number(number.replaceAll(',', '')),
    );
    expect(numbers).toEqual(limits);
  });

  test('every link leads to a file, and to a heading where it names one', async () => {
    let count = 0;
    for (const [path, text] of documents) {
      for (const [, link = ''] of withoutCode(text).matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
        const [file = '', heading] = link.split('#', 2);
        const target = file === '' ? path : relative(root, resolve(root, path, '..', file));
        await expect(stat(join(root, target)), `${path}: ${link}`).resolves.toBeTruthy();
        const headings = heading === undefined ? [heading] : headingsOf(documentAt(target));
        expect(headings, `${path}: ${link}`).toContain(heading);
        count += 1;
      }
    }
    expect(count).toBeGreaterThan(50);
  });

  test('every path that the documents name exists', async () => {
    const missing: string[] = [];
    for (const [path, text] of documents) {
      for (const [, named = ''] of text.matchAll(/`((?:src|test|docs|prisma|bench|scripts|\.ci)\/[\w./-]+)`/g)) {
        if (addedByExample.test(named)) continue;
        if ((await stat(join(root, named)).catch(() => null)) === null) missing.push(`${path}: ${named}`);
      }
    }
    expect(missing).toEqual([]);
  });

  test('every name in code style exists in the code', async () => {
    const sources = [...(await listFiles('src')), ...(await listFiles('prisma')), 'schema.graphql', 'package.json'];
    const code = (await Promise.all(sources.map(read))).join('\n');
    const known = new Set([
      ...(code.match(/\w+/g) ?? []),
      ...Object.values(settings).flatMap(({ name }) => [name, `${name}_FILE`]),
    ]);
    const missing = [...documents].flatMap(([path, text]) => {
      const spans = withoutBlocks(text).match(/`(?!s3:)[^`\n]+`/g) ?? [];
      const names = spans.flatMap(
        (span) => span.match(/\b(?:[a-z]+[A-Z]\w*|[A-Z]+_[A-Z_]+|[A-Z][a-z]+[A-Z]\w+)\b/g) ?? [],
      );
      return names
        .filter((name) => !known.has(name) && !foreignNames.has(name) && !namedByExample.test(name))
        .map((name) => `${path}: ${name}`);
    });
    expect(missing).toEqual([]);
  });

  test.each(['somebody', 'nobody', 'whoever', 'whom', 'is told', 'are told', 'anybody', 'everybody'])(
    'no document says "%s"',
    (phrase) => {
      const found = [...documents].flatMap(([path, text]) =>
        text
          .split('\n')
          .filter((line) => new RegExp(`\\b${phrase}\\b`, 'i').test(line))
          .map((line) => `${path}: ${line}`),
      );
      expect(found).toEqual([]);
    },
  );
});

/** The files and the type names of polls, which CONTRIBUTING.md adds as an example. */
const addedByExample = /[/_]polls?[./]/;
const namedByExample = /^(addPoll|Poll[A-Z]\w*)$/;

/** Names that no code here contains. They come from the proposal, clients, AWS, systemd and Kubernetes. */
const foreignNames = new Set([
  ...['DashMap', 'HttpLink', 'retryAttempts', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
  ...['PersistedQueryLink', 'persistedExchange', 'persistedDocuments', 'persistConfig'],
  ...['TimeoutStopSec', 'terminationGracePeriodSeconds', 'useSyncExternalStore'],
  // A trigger composes these names.
  ...['UNBAN_MEMBER', 'UNMUTE_MEMBER'],
]);

/** Subscribes without a `graphql` tag, because only Relay's compiler can read such tags. */
const subscribeWithRelay = `
const text = 'subscription { events { cursor event { __typename ... on NewMessage { message { content } } } } }';
environment.getNetwork().execute({ name: 'Events', operationKind: 'subscription', text }, {}, {})
  .subscribe({ next: ({ data }) => console.log(data.events) });`;

const slices = ['account', 'people', 'chat', 'message', 'file', 'search', 'mail', 'import'];
const folders = ['core', 'redis', 'postgres', 'log', 'live', 'slices', 'api', 'http', 'client', 'web'];

type ImportRule = { files: string[]; mayImport: string[]; refused: string[] };

/** Reads the import table of architecture.md, and returns one rule for each row. */
function readImportTable(): ImportRule[] {
  const rows = sectionOf('docs/architecture.md', 'Layers and slices').match(/^\| `src\/.*$/gm) ?? [];
  return rows.map((row) => {
    const [, files = '', mayImport = '', refused = ''] = row.split('|');
    const list = (cell: string) => cell.split(',').flatMap((each) => each.replaceAll('`', '').trim() || []);
    return { files: list(files), mayImport: list(mayImport), refused: list(refused) };
  });
}

/** Reads the same rules from .oxlintrc.json, which lists the forbidden imports. */
async function readLintedImports(): Promise<ImportRule[]> {
  const { overrides } = JSON.parse(await read('.oxlintrc.json'));
  const rules = new Map<string, ImportRule>();
  for (const {
    files,
    rules: { 'eslint/no-restricted-imports': rule },
  } of overrides) {
    if (!Array.isArray(rule)) continue;
    const { patterns, paths = [] } = rule[1];
    const refused = new Set(/\(([\w|]+)\)\(\/\|/.exec(patterns[0].regex)?.[1]?.split('|'));
    // These two folders are not in the first pattern, because some files are also called client.ts.
    const refuses = (ending: string) => patterns.some(({ regex }: { regex: string }) => regex.endsWith(ending));
    if (refuses('client/') || refuses('(client|web)/')) refused.add('client');
    if (refuses('(client|web)/')) refused.add('web');
    const mayImport = folders.filter((folder) =>
      folder === 'slices' ? slices.every((slice) => !refused.has(slice)) : !refused.has(folder),
    );
    rules.set(files.join(), { files, mayImport, refused: paths.map(({ name }: { name: string }) => name) });
  }
  return readImportTable().map(({ files }) => rules.get(files.join()) ?? { files, mayImport: [], refused: [] });
}

function documentAt(path: string): string {
  const text = documents.get(path);
  if (text === undefined) throw new Error(`${path} is none of the documents`);
  return text;
}

async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('generated'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

/** Returns the text under that heading, up to the next heading of the same or a higher level. */
function sectionOf(path: string, heading: string): string {
  const text = documentAt(path);
  const found = new RegExp(`^(#+) ${heading}$`, 'm').exec(text);
  if (found === null) throw new Error(`${path} has no heading "${heading}"`);
  const after = text.slice(found.index + found[0].length);
  const end = withoutBlocks(after).search(new RegExp(`^#{1,${found[1]?.length ?? 1}} `, 'm'));
  return end === -1 ? after : after.slice(0, end);
}

/** Returns the code of every block in that language, either in the section under a heading or in the whole document. */
function blocksIn(path: string, language: string, heading?: string): string[] {
  const text = heading === undefined ? documentAt(path) : sectionOf(path, heading);
  const blocks = [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, code = '']) => code,
  );
  if (blocks.length === 0) throw new Error(`${path} has no example in ${language}`);
  return blocks;
}

/** Replaces code blocks with blanks, without changing the length of the text. */
function withoutBlocks(text: string): string {
  return text.replace(/^ *```.*?^ *```$/gms, (block) => block.replace(/[^\n]/g, ' '));
}

function withoutCode(text: string): string {
  return withoutBlocks(text).replace(/`[^`\n]+`/g, (span) => ' '.repeat(span.length));
}

/** Returns the anchors that GitHub derives from the headings. */
function headingsOf(text: string): string[] {
  return [...withoutBlocks(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .trim()
      .replace(/\s/g, '-'),
  );
}

function pointAt(url: string, text: string): string {
  expect(text).not.toMatch(/localhost:(?!4000)/);
  return text.replaceAll('http://localhost:4000', url);
}

/**
 * Runs a program until the test is over. `says` waits for a line that contains the given text, and fails if the program
 * ends without printing such a line.
 */
function run(program: string, args: string[]) {
  const child = spawn(program, args, { cwd: root, stdio: ['pipe', 'pipe', 'pipe'] });
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on('line', (line) => {
      lines.push(line);
      for (const listener of listeners) listener();
    });
  }
  const closed = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  const says = (text: string) =>
    new Promise<void>((finish, reject) => {
      const look = () => {
        if (lines.some((line) => line.includes(text))) finish();
      };
      listeners.add(look);
      look();
      void closed.then(() => reject(new Error(`It ended without saying ${text}:\n${lines.join('\n')}`)));
    });
  return {
    lines,
    says,
    write: (text: string) => void child.stdin.write(text),
    exitCode: closed.then(() => child.exitCode),
  };
}
