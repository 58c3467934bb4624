import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUpAll, type Answer, type Data, type Person } from '../support/client.ts';
import { createBot, createProgram, programWith, revokeApiKey, type Bot, type Program } from '../support/api-key.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { readAuditLog, setRoleWithSql, suspendUser, unsuspendUser } from '../support/staff.ts';
import { give, happened, happeningOf, openReserved, reserve } from '../support/single.ts';
import { eventOf, eventsDocument, followChat, followEvents } from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let everything: Program;
let robot: Bot;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
  await setRoleWithSql(server, ada, 'ADMIN');
  const member = ['USERS_READ', 'CHATS_READ', 'CHATS_WRITE', 'MESSAGES_READ', 'MESSAGES_WRITE'];
  everything = await createProgram(server, ada, [...member, 'USERS_WRITE', 'ACT_AS']);
  robot = await createBot(server, ada, { username: 'robot' });
});

const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions?.['code'];
const messageOf = ({ errors }: Answer) => errors?.[0]?.message;
/** Combines a program's credentials with the fields of a person that chat tests need. */
const asPerson = (program: Program | Bot, person: Person): Person => ({ ...person, ...program });

test('a program acts as a user that it names by id or by external key', async () => {
  await server.sql.query(`update users set key = 'customer:7' where id = $1`, [keyOf(grace.userId)]);
  for (const name of [grace.userId, 'key:customer:7']) {
    expect((await everything.as(name).ask('{ viewer { user { username } } }')).viewer.user.username).toBe('grace');
  }
  const chat = await createGroup(asPerson(everything.as(grace.userId), grace), [linus]);
  const id = await say(asPerson(everything.as('key:customer:7'), grace), chat, 'From the shop');
  const { node } = await linus.ask(
    'query ($id: ID!) { node(id: $id) { ... on Message { content sender { username } } } }',
    { id },
  );
  expect(node).toEqual({ content: 'From the shop', sender: { username: 'grace' } });
});

test('acting as a user who can’t be acted as, or by a program that can’t act, is refused with a reason', async () => {
  const ask = '{ viewer { id } }';
  for (const name of ['VXNlcjo5OTk5', 'key:nobody', 'key:', 'grace', '', Buffer.from('Chat:1').toString('base64url')]) {
    const answer = await everything.as(name).post(ask);
    expect([codeOf(answer), messageOf(answer)]).toEqual(['FORBIDDEN', 'parley-act-as names no user of this server.']);
  }
  const weak = (await createProgram(server, ada, ['USERS_READ'])).as(grace.userId);
  expect(messageOf(await weak.post(ask))).toContain('lacks the scope ACT_AS');
  const header = { 'parley-act-as': grace.userId };
  expect(codeOf(await server.post(ask, {}, { token: ada.token, headers: header }))).toBe('FORBIDDEN');
  expect(codeOf(await server.post(ask, {}, { headers: header }))).toBe('UNAUTHENTICATED');
  expect(codeOf(await server.post(ask, {}, { token: `${everything.token.slice(0, -1)}_` }))).toBe('UNAUTHENTICATED');
});

test('a server key that names no user reaches nothing that needs one', async () => {
  const answer = await everything.post('{ users(search: "a") { edges { node { username } } } }');
  expect(codeOf(answer)).toBe('FORBIDDEN');
  expect(messageOf(answer)).toContain('parley-act-as');
  expect((await everything.ask('{ viewer { id } api { version } }')).viewer).toBeNull();
});

test('a program that acts as a user reaches no passwords, sessions, stream tokens, keys, exports or deletion', async () => {
  const acting = (await createProgram(server, ada, ['ACT_AS', 'ADMIN', 'USERS_READ'])).as(ada.userId);
  const refused = [
    'mutation { changePassword(input: { currentPassword: "x", newPassword: "y" }) { ... on Forbidden { code } } }',
    'mutation { deleteAccount(password: "x", messages: KEEP) { __typename } }',
    'mutation { signOut }',
    'mutation { streamToken }',
    '{ viewer { sessions { id } } }',
    `mutation { createApiKey(input: { name: "x", scopes: [ADMIN] }) { __typename ... on Error { code } } }`,
    `mutation { createUserSession(userId: "${grace.userId}") { __typename ... on Error { code } } }`,
  ];
  for (const document of refused) {
    const answer = await acting.post(document);
    const result: Data = Object.values(answer.data ?? {})[0] ?? null;
    expect([document, codeOf(answer) ?? result?.code]).toEqual([document, 'FORBIDDEN']);
  }
  const headers = { authorization: `Bearer ${acting.token}`, 'parley-act-as': ada.userId };
  expect((await fetch(`${server.url}/api/export`, { method: 'POST', headers })).status).toBe(403);
  // A key cannot be used as a password either.
  const { signIn } = await server.ask('mutation ($input: SignInInput!) { signIn(input: $input) { __typename } }', {
    input: { email: ada.email, password: acting.token },
  });
  expect(signIn.__typename).toBe('InvalidCredentials');
});

test('a program has the role of the user that it acts as only with the scope of that role', async () => {
  const read = '{ admin { users { edges { cursor } } auditLog { edges { cursor } } } }';
  const plain = await everything.as(ada.userId).post(read);
  expect([codeOf(plain), messageOf(plain)]).toEqual(['FORBIDDEN', expect.stringContaining('MODERATE or ADMIN')]);
  expect((await everything.as(ada.userId).ask('{ viewer { serverRole } }')).viewer.serverRole).toBe('USER');
  const moderator = await createProgram(server, ada, ['ACT_AS', 'MODERATE', 'USERS_READ']);
  expect((await moderator.as(ada.userId).ask('{ viewer { serverRole } }')).viewer.serverRole).toBe('MODERATOR');
  expect(
    await moderator.as(grace.userId).ask('{ viewer { serverRole } admin { users { edges { cursor } } } }'),
  ).toEqual({
    viewer: { serverRole: 'USER' },
    admin: null,
  });
});

test('a suspended user cannot be acted as, and the streams of programs end with the suspension', async () => {
  const acting = everything.as(linus.userId);
  await using stream = await followEvents(server, acting, { headers: { 'parley-act-as': linus.userId } });
  expect(await suspendUser(ada, linus.userId, { reason: 'Spam' })).toMatchObject({ __typename: 'AdminUser' });
  expect((await stream.until(({ data }) => data?.errors !== undefined)).at(-1)?.data.errors).toMatchObject([
    { extensions: { code: 'UNAUTHENTICATED' } },
  ]);
  const answer = await acting.post('{ viewer { id } }');
  expect([codeOf(answer), messageOf(answer)]).toEqual(['FORBIDDEN', 'This account is suspended.']);
  await unsuspendUser(ada, linus.userId);
  expect((await acting.ask('{ viewer { user { username } } }')).viewer.user.username).toBe('linus');
});

test('a suspended bot does nothing with its key, not even as another user', async () => {
  const bot = await createBot(server, ada, { username: 'suspended', scopes: ['ACT_AS', 'USERS_READ'] });
  const acting = bot.as(grace.userId);
  const ask = '{ viewer { user { username } } }';
  expect((await acting.ask(ask)).viewer.user.username).toBe('grace');
  await suspendUser(ada, bot.userId, { reason: 'leaked' });
  for (const refused of [bot, acting]) {
    await expect.poll(async () => codeOf(await refused.post(ask))).toBe('FORBIDDEN');
  }
});

test('a program does not become a user whose account is being erased at that moment', async () => {
  const [gone] = await signUpAll(server, 'gone');
  const client = await server.sql.connect();
  try {
    await client.query('begin');
    await client.query(`update users set deleted_at = now(), username = 'erased_1', email = '1@erased.invalid'
      where id = ${keyOf(gone.userId)}`);
    const asking = everything.as(gone.userId).post('{ viewer { id } }');
    const blocked = `select from pg_stat_activity where wait_event_type = 'Lock' and query like 'insert into sessions%'
      and datname = current_database()`;
    await expect.poll(async () => (await server.sql.query(blocked)).rowCount).toBe(1);
    await client.query('commit');
    expect(messageOf(await asking)).toBe('parley-act-as names no user of this server.');
  } finally {
    client.release();
  }
});

test('the audit log names the key and who created it, and the user that the program acted as', async () => {
  const chat = await createGroup(grace, [linus]);
  await everything
    .as(grace.userId)
    .ask('mutation ($chatId: ID!, $userId: ID!) { removeMember(chatId: $chatId, userId: $userId) { __typename } }', {
      chatId: chat,
      userId: linus.userId,
    });
  const [entry] = await readAuditLog(ada, { targetId: linus.userId });
  expect(entry).toMatchObject({
    action: 'REMOVE_MEMBER',
    actor: { username: 'ada' },
    detail: { chat, actedAs: grace.userId },
  });
});

test('a back end opens a session for a user that it has signed in', async () => {
  const open = (by: Program, userId: string) =>
    by.ask(
      `mutation ($userId: ID!) { createUserSession(userId: $userId) {
        __typename ... on SignedIn { accessToken refreshToken viewer { user { username } } } ... on Error { code message }
      } }`,
      { userId },
    );
  const { createUserSession } = await open(everything, grace.userId);
  expect(createUserSession).toMatchObject({ __typename: 'SignedIn', viewer: { user: { username: 'grace' } } });
  const document = '{ viewer { user { username } } }';
  expect((await server.ask(document, {}, createUserSession.accessToken)).viewer.user.username).toBe('grace');
  const refused = async (by: Program, userId: string) => (await open(by, userId)).createUserSession;
  expect(await refused(everything, 'VXNlcjo5OTk5')).toMatchObject({ code: 'NOT_FOUND' });
  expect(await refused(everything, robot.userId)).toMatchObject({ code: 'FORBIDDEN' });
  expect(await refused(everything, ada.userId)).toMatchObject({ code: 'FORBIDDEN' });
  expect(await refused(await createProgram(server, ada, ['USERS_READ']), grace.userId)).toMatchObject({
    message: 'This API key lacks the scope ACT_AS.',
  });
  expect(await refused(await createProgram(server, ada, ['ACT_AS', 'ADMIN', 'USERS_READ']), ada.userId)).toMatchObject({
    __typename: 'SignedIn',
  });
  await suspendUser(ada, linus.userId, { reason: 'Spam' });
  expect(await refused(everything, linus.userId)).toMatchObject({
    code: 'FORBIDDEN',
    message: 'This account is suspended.',
  });
  await unsuspendUser(ada, linus.userId);
});

test('a bot is a member like anyone else, and its messages count as unread', async () => {
  expect((await robot.ask('{ viewer { user { username kind } email hasPassword } }')).viewer).toEqual({
    user: { username: 'robot', kind: 'BOT' },
    email: null,
    hasPassword: false,
  });
  const chat = await createGroup(grace, [robot]);
  await using stream = await followEvents(server, robot);
  await say(grace, chat, 'Hello, robot');
  expect(eventOf(await stream.next('NewMessage'))).toMatchObject({ message: { content: 'Hello, robot' } });
  await say(asPerson(robot, grace), chat, 'Hello, Grace');
  const read = 'query ($id: ID!) { chat(id: $id) { viewerMembership { unreadCount } } }';
  expect((await grace.ask(read, { id: chat })).chat.viewerMembership.unreadCount).toBe(1);
  // Other users see the bot as online while its program is listening.
  const presence = async () =>
    (
      await grace.ask('query ($id: ID!) { node(id: $id) { ... on User { presence { status } } } }', {
        id: robot.userId,
      })
    ).node.presence.status;
  await expect.poll(presence).toBe('ONLINE');
});

test('a program that acts as a user does not make them appear online', async () => {
  const chat = await createGroup(grace, [linus]);
  await using stream = await followEvents(server, everything.as(linus.userId), {
    headers: { 'parley-act-as': linus.userId },
  });
  await say(grace, chat, 'Are you there?');
  await stream.next('NewMessage');
  const { rows } = await server.sql.query('select status from presences where user_id = $1', [keyOf(linus.userId)]);
  expect(rows.every(({ status }) => status === 'OFFLINE')).toBe(true);
});

test('a bot never signs in, and the database refuses whatever it would sign in with', async () => {
  const id = keyOf(robot.userId);
  for (const [statement, constraint] of [
    [`insert into credentials (user_id, password_hash) values (${id}, 'x')`, 'a_bot_never_signs_in'],
    [`insert into sessions (user_id) values (${id})`, 'a_bot_never_signs_in'],
    [
      `insert into identities (issuer, subject, user_id, claims_issued_at) values ('i', 's', ${id}, now())`,
      'a_bot_never_signs_in',
    ],
    [`update users set email = 'robot@example.com' where id = ${id}`, 'a_bot_has_no_address_and_no_role'],
    [`update users set server_role = 'ADMIN' where id = ${id}`, 'a_bot_has_no_address_and_no_role'],
    [
      `insert into api_keys (name, secret_hash, hint, scopes, bot_id)
        values ('x', sha256('x'), 'parley_abcd', '{}', ${keyOf(grace.userId)})`,
      'a_key_speaks_for_a_bot',
    ],
  ] as const) {
    await expect(server.sql.query(statement), statement).rejects.toMatchObject({ constraint });
  }
  await expect(server.sql.query(`update users set kind = 'HUMAN' where id = ${id}`)).rejects.toThrow(
    'the kind of a user',
  );
});

test('a key that is revoked on one node is refused by the other within a second, and its streams end there', async () => {
  await using other = await startServer({ database: server.database });
  const program = await createProgram(server, ada, ['ACT_AS', 'USERS_READ', 'CHATS_READ', 'MESSAGES_READ']);
  const bot = await createBot(server, ada, { username: 'second' });
  const [there, botThere] = [program, bot].map(({ keyId, token }) => programWith(other, { keyId, secret: token }));
  await using stream = await followEvents(other, program, { headers: { 'parley-act-as': grace.userId } });
  await using botStream = await followEvents(other, bot);
  const chat = await createGroup(grace, [linus]);
  await say(grace, chat, 'before');
  for (const known of [there?.as(grace.userId), botThere]) {
    expect(codeOf((await known?.post('{ viewer { id } }')) as Answer)).toBeUndefined();
  }
  await Promise.all([revokeApiKey(ada, program.keyId), revokeApiKey(ada, bot.keyId)]);
  const revokedAt = performance.now();
  await say(grace, chat, 'after');
  const frames = await stream.ended();
  expect(frames.some((frame) => eventOf(frame)?.message?.content === 'before')).toBe(true);
  expect(frames.some((frame) => eventOf(frame)?.message?.content === 'after')).toBe(false);
  await botStream.ended();
  // After a second, both keys are refused at the first attempt. Before these attempts, the node had no reason to check
  // the keys.
  await sleep(revokedAt + 1_000 - performance.now());
  for (const refused of [there?.as(grace.userId), botThere]) {
    expect(codeOf((await refused?.post('{ viewer { id } }')) as Answer)).toBe('UNAUTHENTICATED');
  }
});

test('a bot follows one chat, and all its events over a single connection', async () => {
  const chat = await createGroup(grace, [robot]);
  await using stream = await followChat(server, robot, chat);
  const reserved = await reserve(server, robot);
  await using connection = await openReserved(server, robot, reserved);
  const accepted = await give(server, robot, reserved, { id: 'all', query: eventsDocument });
  expect(accepted.status).toBe(202);
  await connection.next(happened('all', 'CaughtUp'));
  await say(grace, chat, 'Hello twice');
  const said = { message: { content: 'Hello twice' } };
  expect(eventOf(await stream.next('NewMessage'))).toMatchObject(said);
  expect(happeningOf(await connection.next(happened('all', 'NewMessage')))).toMatchObject(said);
});

test('an expired key is refused, and its streams end', async () => {
  const expiresAt = new Date(Date.now() + 2_000).toISOString();
  const { createBot: created } = await ada.ask(
    'mutation { createBot(input: { username: "brief" }) { ... on CreatedApiKey { apiKey { id bot { id } } } } }',
  );
  const secret = `parley_${'A'.repeat(43)}`;
  await server.sql.query(
    `insert into api_keys (name, secret_hash, hint, scopes, bot_id, expires_at)
    values ('brief', sha256(convert_to($1, 'UTF8')), 'parley_AAAA', '{}', $2, $3)`,
    [secret, keyOf(created.apiKey.bot.id), expiresAt],
  );
  const brief = programWith(server, { keyId: '', secret });
  await using stream = await followEvents(server, brief);
  await stream.ended();
  await expect
    .poll(async () => messageOf(await brief.post('{ viewer { id } }')), { timeout: 3_000 })
    .toBe('The API key has expired.');
});
