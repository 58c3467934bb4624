import { beforeAll, expect, test } from 'vitest';
import { findCommand } from '../../src/admin/command-table.ts';
import { connectDatabase, disconnectDatabase, type Db } from '../../src/postgres/client.ts';
import { createGroup, keyOf } from '../support/chat.ts';
import { signUpAll, type Data, type Person } from '../support/client.ts';
import { atFileEnd } from '../support/file-end.ts';
import {
  createBot,
  createProgram,
  programWith,
  revokeApiKey,
  tryCreateApiKey,
  tryCreateBot,
} from '../support/api-key.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { eraseUser, readAuditLog, setRoleWithSql, setServerRole, suspendUser } from '../support/staff.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let db: Db;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
  await Promise.all([setRoleWithSql(server, ada, 'ADMIN'), setRoleWithSql(server, grace, 'MODERATOR')]);
  const { url } = server.database;
  db = connectDatabase({ url, maxConnections: 2, statementTimeoutMs: 10_000, onError: () => {} });
});
atFileEnd(() => disconnectDatabase(db));

const listKeys = async (by: Pick<Person, 'ask'>): Promise<Data[]> =>
  (
    await by.ask('{ admin { apiKeys { edges { node { id name hint scopes lastUsedAt bot { username } } } } } }')
  ).admin.apiKeys?.edges.map(({ node }: { node: Data }) => node);

test('an admin creates a key, whose secret is shown once and stored as a hash', async () => {
  const created = await tryCreateApiKey(ada, { name: ' Orders ', scopes: ['ADMIN', 'USERS_READ'] });
  expect(created).toMatchObject({
    __typename: 'CreatedApiKey',
    secret: expect.stringMatching(/^parley_[A-Za-z0-9_-]{43}$/),
    apiKey: { name: 'Orders', scopes: ['USERS_READ', 'ADMIN'], bot: null, expiresAt: null },
  });
  const { secret, apiKey } = created;
  expect(secret.startsWith(apiKey.hint)).toBe(true);
  expect((await listKeys(ada)).find(({ id }) => id === apiKey.id)).toMatchObject({
    hint: apiKey.hint,
    lastUsedAt: null,
  });
  await programWith(server, { keyId: apiKey.id, secret })
    .ask('{ users(search: "x") { edges { cursor } } }')
    .catch(() => 0);
  expect((await listKeys(ada)).find(({ id }) => id === apiKey.id)?.lastUsedAt).not.toBeNull();
  const { rows } = await server.sql.query('select to_jsonb(k)::text as text from api_keys k');
  expect(JSON.stringify(rows)).not.toContain(secret);
});

test('only admins create, see and revoke keys and bots', async () => {
  const { keyId } = await createProgram(server, ada, ['USERS_READ']);
  for (const other of [grace, linus]) {
    expect(await tryCreateApiKey(other, { name: 'Mine', scopes: ['USERS_READ'] })).toMatchObject({ code: 'FORBIDDEN' });
    expect(await tryCreateBot(other, { username: 'mine' })).toMatchObject({ code: 'FORBIDDEN' });
    expect(await revokeApiKey(other, keyId)).toMatchObject({ code: 'FORBIDDEN' });
    expect((await other.ask('query ($id: ID!) { node(id: $id) { id } }', { id: keyId })).node).toBeNull();
  }
  expect(await listKeys(grace)).toBeUndefined();
});

test('bad names, scopes and expiries are refused by field', async () => {
  const past = new Date(Date.now() - 1_000).toISOString();
  for (const [input, path, code] of [
    [{ name: ' ', scopes: ['ADMIN'] }, ['name'], 'REQUIRED'],
    [{ name: 'x'.repeat(65), scopes: ['ADMIN'] }, ['name'], 'TOO_LONG'],
    [{ name: 'Key', scopes: [] }, ['scopes'], 'REQUIRED'],
    [{ name: 'Key', scopes: ['ADMIN', 'ADMIN'] }, ['scopes', '1'], 'DUPLICATE'],
    [{ name: 'Key', scopes: ['ADMIN'], expiresAt: past }, ['expiresAt'], 'NOT_ALLOWED'],
  ] as const) {
    expect(await tryCreateApiKey(ada, input)).toMatchObject({ __typename: 'InvalidInput', fields: [{ path, code }] });
  }
  expect(await tryCreateBot(ada, { username: 'a b' })).toMatchObject({ fields: [{ path: ['username'] }] });
  expect(await tryCreateBot(ada, { username: 'LINUS' })).toMatchObject({ __typename: 'Conflict' });
});

test('a program grants no scope that its own key lacks', async () => {
  const program = await createProgram(server, ada, ['ADMIN', 'USERS_READ']);
  expect(await tryCreateApiKey(program, { name: 'Less', scopes: ['USERS_READ'] })).toMatchObject({
    __typename: 'CreatedApiKey',
  });
  const more = { code: 'FORBIDDEN', message: expect.stringContaining('ACT_AS') };
  expect(await tryCreateApiKey(program, { name: 'More', scopes: ['USERS_READ', 'ACT_AS'] })).toMatchObject(more);
  expect(await tryCreateBot(program, { username: 'more', scopes: ['ACT_AS'] })).toMatchObject(more);
  const weak = await createProgram(server, ada, ['USERS_READ', 'USERS_WRITE']);
  expect(await tryCreateApiKey(weak, { name: 'Less', scopes: ['USERS_READ'] })).toMatchObject({
    code: 'FORBIDDEN',
    message: expect.stringContaining('ADMIN'),
  });
});

test('a revoked key is gone from the list and revoked once, and the audit log names who created and revoked it', async () => {
  const [program, manager] = [
    await createProgram(server, ada, ['USERS_READ']),
    await createProgram(server, ada, ['ADMIN']),
  ];
  expect(await revokeApiKey(manager, program.keyId)).toMatchObject({ __typename: 'ApiKey', id: program.keyId });
  expect(await revokeApiKey(ada, program.keyId)).toMatchObject({ code: 'NOT_FOUND' });
  expect((await listKeys(ada)).map(({ id }) => id)).not.toContain(program.keyId);
  expect((await program.post('{ api { version } viewer { id } }')).errors).toMatchObject([
    { extensions: { code: 'UNAUTHENTICATED' } },
  ]);
  const document = `query ($targetId: ID!) { admin { auditLog(targetId: $targetId) { edges { node {
    action detail actor { username } apiKey { id name }
  } } } } }`;
  const { admin } = await ada.ask(document, { targetId: program.keyId });
  expect(admin.auditLog.edges.map(({ node }: { node: Data }) => node)).toEqual([
    { action: 'REVOKE_API_KEY', detail: {}, actor: { username: 'ada' }, apiKey: { id: manager.keyId, name: 'Shop' } },
    { action: 'CREATE_API_KEY', detail: { scopes: ['USERS_READ'] }, actor: { username: 'ada' }, apiKey: null },
  ]);
});

test('keys survive their creator, and those of a bot end with it', async () => {
  const [robot, program] = [
    await createBot(server, ada, { username: 'robot' }),
    await createProgram(server, ada, ['USERS_READ']),
  ];
  const { keyId } = await createProgram(server, { ask: program.ask }, ['USERS_READ']).catch(() => program);
  expect(keyId).toBe(program.keyId);
  await setRoleWithSql(server, linus, 'ADMIN');
  const ofLinus = await createProgram(server, linus, ['USERS_READ']);
  await setRoleWithSql(server, linus, 'USER');
  expect(await eraseUser(ada, linus.userId)).toMatchObject({ __typename: 'AccountGone' });
  expect((await ofLinus.post('{ node(id: "x") { id } }')).errors).toMatchObject([
    { extensions: { code: 'BAD_REQUEST' } },
  ]);
  expect(await eraseUser(ada, robot.userId)).toMatchObject({ __typename: 'AccountGone' });
  expect(await robot.post('{ viewer { id } }')).toMatchObject({
    errors: [{ extensions: { code: 'UNAUTHENTICATED' } }],
  });
});

test('a program with MODERATE or ADMIN does what staff of that role do, without a user', async () => {
  const [moderator, admin] = [
    await createProgram(server, ada, ['MODERATE']),
    await createProgram(server, ada, ['ADMIN']),
  ];
  const users = '{ admin { users { edges { node { email } } } auditLog { edges { cursor } } } }';
  const seen = (await moderator.ask('{ admin { users { edges { node { email } } } } }')).admin;
  expect(seen.users.edges.length).toBeGreaterThan(1);
  expect(seen.users.edges.every(({ node }: { node: Data }) => node.email === null)).toBe(true);
  expect((await admin.ask(users)).admin.auditLog.edges.length).toBeGreaterThan(1);
  const suspend = (by: Pick<Person, 'ask'>, person: Person) => suspendUser(by as Person, person.userId);
  const newcomers = await signUpAll(server, 'edsger', 'barbara');
  expect(await suspend(moderator, newcomers[0])).toMatchObject({ __typename: 'AdminUser' });
  expect(await suspend(moderator, grace)).toMatchObject({ code: 'FORBIDDEN' });
  expect(await suspend(await createProgram(server, ada, ['USERS_WRITE']), newcomers[1])).toMatchObject({
    code: 'FORBIDDEN',
    message: expect.stringContaining('MODERATE or ADMIN'),
  });
  const [entry] = await readAuditLog(ada, { targetId: newcomers[0].userId });
  expect(entry).toMatchObject({ action: 'SUSPEND_USER', actor: { username: 'ada' }, detail: {} });
});

test('an operator creates a key by command, which prints the secret alone', async () => {
  const storage = { dataDir: server.dataDir, fileStore: null, fileServing: 'stream' } as const;
  const run = async (...args: string[]) => findCommand(args)({ db, appUrl: null, storage });
  const secret = await run('api-key', 'Orders', 'users_read', 'MODERATE');
  expect(secret).toMatch(/^parley_[A-Za-z0-9_-]{43}$/);
  const program = programWith(server, { keyId: '', secret });
  expect((await program.ask('{ admin { users { edges { cursor } } } }')).admin.users.edges.length).toBeGreaterThan(1);
  await expect(run('api-key', 'Orders')).rejects.toThrow('An argument is missing.');
  await expect(run('api-key', 'Orders', 'EVERYTHING')).rejects.toThrow('There is no scope EVERYTHING.');
  await expect(run('api-key', 'Orders', 'ADMIN', '--expires', 'soon')).rejects.toThrow('soon is not a time.');
});

test('a key never speaks for a person, and a bot never has a role on the server', async () => {
  const bot = await createBot(server, ada, { username: 'mere' });
  const moving = server.sql.query('update api_keys set bot_id = $2 where id = $1', [
    keyOf(bot.keyId),
    keyOf(ada.userId),
  ]);
  await expect(moving).rejects.toThrow('an API key belongs to a bot or to the server');
  expect(await setServerRole(ada, bot.userId, 'MODERATOR')).toMatchObject({ __typename: 'Forbidden' });
});

test('the incoming webhooks of users do not count toward the limit of keys', async () => {
  const chatId = keyOf(await createGroup(grace, [ada]));
  const { rowCount } = await server.sql.query(
    `with bots as (
      insert into users (username, kind) select 'hook_' || n, 'BOT' from generate_series(1, 1000) n returning id
    ), joined as (
      insert into members (chat_id, user_id) select $1, id from bots returning user_id
    ), keys as (
      insert into api_keys (name, secret_hash, hint, scopes, bot_id)
      select 'hook', sha256(int8send(n)), 'parley_hook', array['USERS_READ']::scope[], null
      from generate_series(1, 1000) n returning id
    )
    insert into incoming_webhooks (chat_id, bot_id, api_key_id, token_hash)
    select $1, j.user_id, k.id, sha256(int8send(k.id))
    from (select user_id, row_number() over () as n from joined) j
    join (select id, row_number() over () as n from keys) k using (n)`,
    [chatId],
  );
  expect(rowCount).toBe(1_000);
  expect(await tryCreateApiKey(ada, { name: 'one more', scopes: ['ADMIN'] })).toMatchObject({
    __typename: 'CreatedApiKey',
  });
  expect((await listKeys(ada)).map(({ name }) => name)).not.toContain('hook');
});

test('of several keys that are created at the same time, only one takes the last free place', async () => {
  await server.sql.query(
    `insert into api_keys (name, secret_hash, hint, scopes)
    select 'many', sha256(('many ' || n)::bytea), 'parley_many', array['USERS_READ']::scope[]
    from generate_series(1, 999 - (
      select count(*) from api_keys k
      where revoked_at is null and not exists (select from incoming_webhooks where api_key_id = k.id)
    )) n`,
  );
  const calls = Array.from({ length: 4 }, (_, index) => {
    return tryCreateApiKey(ada, { name: `last ${index}`, scopes: ['USERS_READ'] });
  });
  const outcomes = await Promise.all(calls);
  await server.sql.query(`update api_keys set revoked_at = clock_timestamp() where name = 'many'`);
  const refused = outcomes.filter(({ __typename }) => __typename === 'InvalidInput');
  const created = outcomes.filter(({ __typename }) => __typename === 'CreatedApiKey');
  expect([created.length, refused.length]).toEqual([1, 3]);
});
