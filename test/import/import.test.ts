import { once } from 'node:events';
import { request } from 'node:http';
import { beforeAll, expect, test } from 'vitest';
import { insertProgram, type Program } from '../support/api-key.ts';
import { createGroup, keyOf } from '../support/chat.ts';
import { asSuperuser } from '../support/database.ts';
import { ask, signUpAll, type Data, type Person } from '../support/client.ts';
import { importLines, toLines } from '../support/import.ts';
import { removePerson } from '../support/membership.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { eventOf, followEvents } from '../support/stream.ts';

let server: TestServer;
let other: TestServer;
let ada: Person;
let grace: Person;
let key: Program;
beforeAll(async () => {
  server = await startServer();
  other = await startServer({ database: server.database });
  [ada, grace] = await signUpAll(server, 'ada', 'grace');
  for (const { name, userId } of [ada, grace]) {
    await server.sql.query('update users set key = $2 where id = $1', [keyOf(userId), `shop:${name}`]);
  }
  key = await insertProgram(server, ['USERS_WRITE', 'CHATS_WRITE', 'MESSAGES_WRITE']);
});

const send = (objects: readonly unknown[], node = server) => importLines(node, key.token, toLines(objects));

/** Returns the lines of a group with Ada, Grace and `count` messages, without the line that ends it. */
function conversation(chat: string, count: number, more: Record<string, unknown> = {}): Record<string, unknown>[] {
  return [
    { chat: { key: chat, type: 'GROUP', name: 'imported', createdAt: '2019-01-01T00:00:00Z', ...more } },
    { member: { chat, user: 'shop:ada', role: 'OWNER', joinedAt: '2019-01-01T00:00:00Z' } },
    { member: { chat, user: 'shop:grace' } },
    ...Array.from({ length: count }, (_, index) => ({
      message: {
        chat,
        key: `m${index + 1}`,
        sender: index % 2 === 0 ? 'shop:ada' : 'shop:grace',
        content: `message ${index + 1}`,
        at: new Date(Date.UTC(2020, 0, 1, 0, 0, index)).toISOString(),
      },
    })),
  ];
}

const end = (chat: string, more = {}) => ({ end: { chat, ...more } });

async function readChat(by: Person, chat: string): Promise<Data> {
  const document = `query ($key: String!) { chatByKey(key: $key) {
    type name lastSeq memberCount createdAt
    viewerMembership { role joinedAt lastReadSeq unreadCount }
    messages(last: 50) { edges { node { seq content createdAt editedAt custom sender { key } replyTo { seq } } } }
  } }`;
  return (await by.ask(document, { key: chat })).chatByKey;
}

async function countMessages(chat: string): Promise<number> {
  const { rows } = await server.sql.query(
    'select count(*)::int as count from messages m join chats c on c.id = m.chat_id where c.key = $1',
    [chat],
  );
  return rows[0].count;
}

test('an imported chat has its messages with their times and senders, and everything is read', async () => {
  const lines = conversation('history', 4);
  lines.push(
    { user: { key: 'shop:bot', username: 'robot', displayName: 'Robot', kind: 'BOT', custom: { version: 1 } } },
    {
      message: {
        ...{ chat: 'history', key: 'm5', sender: 'shop:bot', content: 'a reply', at: '2021-06-01T12:00:00+02:00' },
        ...{ replyTo: 'm1', editedAt: '2021-06-01T10:30:00Z', custom: { card: 1 } },
      },
    },
    end('history'),
  );
  expect(await send(lines)).toMatchObject({
    status: 200,
    report: {
      ...{ lines: 10, refused: 0, errors: [], notes: [], ended: 1 },
      ...{
        users: { created: 1, skipped: 0 },
        chats: { created: 1 },
        members: { created: 2 },
        messages: { created: 5 },
      },
    },
  });
  const chat = await readChat(grace, 'history');
  expect(chat).toMatchObject({
    ...{ type: 'GROUP', name: 'imported', lastSeq: 5, memberCount: 2, createdAt: '2019-01-01T00:00:00.000Z' },
    viewerMembership: { role: 'MEMBER', joinedAt: '2019-01-01T00:00:00.000Z', lastReadSeq: 5, unreadCount: 0 },
  });
  expect(chat.messages.edges.map(({ node }: Data) => node).slice(3)).toMatchObject([
    { seq: 4, content: 'message 4', createdAt: '2020-01-01T00:00:03.000Z', sender: { key: 'shop:grace' } },
    {
      ...{ seq: 5, createdAt: '2021-06-01T10:00:00.000Z', editedAt: '2021-06-01T10:30:00.000Z' },
      ...{ sender: { key: 'shop:bot' }, replyTo: { seq: 1 }, custom: { card: 1 } },
    },
  ]);
  expect((await readChat(ada, 'history')).viewerMembership).toMatchObject({ role: 'OWNER' });
  const { rows } = await server.sql.query(`select last_activity_at as at from chats where key = 'history'`);
  expect(rows).toEqual([{ at: new Date('2021-06-01T10:00:00Z') }]);
});

const eventDocument = `subscription { events { event {
  __typename
  ... on NewChat { chat { key name } } ... on AddToChat { chat { key } }
  ... on NewMessage { message { content } } ... on ChatUpdated { chat { key } }
} } }`;

test('an import causes one event for each member, NewChat at its end', async () => {
  await using stream = await followEvents(server, ada, { document: eventDocument });
  const before = await server.sql.query('select count(*)::int as count from events');
  await send(conversation('quiet', 3, { type: 'PUBLIC_CHANNEL' }));
  expect(await readChat(ada, 'quiet')).toBeNull();
  const { publicChannels } = await ada.ask('{ publicChannels { edges { node { key } } } }');
  expect(publicChannels.edges).toEqual([]);
  expect((await server.sql.query('select count(*)::int as count from events')).rows).toEqual(before.rows);
  await send([end('quiet')], other);
  const { rows } = await server.sql.query(
    `select e.kind from events e join chats c on c.id = e.chat_id where c.key = 'quiet'`,
  );
  expect(rows).toEqual([{ kind: 'NewChat' }]);
  expect(eventOf(await stream.next('NewChat'))).toMatchObject({ chat: { key: 'quiet', name: 'imported' } });
  expect(await readChat(ada, 'quiet')).toMatchObject({ type: 'PUBLIC_CHANNEL', viewerMembership: { unreadCount: 0 } });
  // From now on, the chat behaves like any other chat.
  const { id } = (await ada.ask('{ chatByKey(key: "quiet") { id } }')).chatByKey;
  await grace.ask('mutation ($id: ID!) { sendMessage(input: { chatId: $id, content: "new" }) { __typename } }', { id });
  expect(eventOf(await stream.next('NewMessage'))).toMatchObject({ message: { content: 'new' } });
  expect(await readChat(ada, 'quiet')).toMatchObject({ lastSeq: 4, viewerMembership: { unreadCount: 1 } });
});

test('importing the same lines again changes nothing, on any node', async () => {
  const lines = [...conversation('again', 20), end('again')];
  await send(lines);
  const first = await readChat(ada, 'again');
  for (const node of [server, other]) {
    expect((await send(lines, node)).report).toMatchObject({
      ...{ refused: 0, ended: 0, chats: { created: 0, skipped: 1 }, members: { created: 0, skipped: 2 } },
      messages: { created: 0, skipped: 20 },
    });
  }
  expect(await readChat(ada, 'again')).toEqual(first);
});

test('two imports of the same lines at the same time, on two nodes, write each message once', async () => {
  const lines = [...conversation('twice', 2_500), end('twice')];
  const reports = await Promise.all([send(lines), send(lines, other)]);
  expect(reports.map(({ report }) => report.refused)).toEqual([0, 0]);
  expect(reports.reduce((sum, { report }) => sum + report.messages.created, 0)).toBe(2_500);
  expect(reports.reduce((sum, { report }) => sum + report.ended, 0)).toBe(1);
  expect(await readChat(ada, 'twice')).toMatchObject({ lastSeq: 2_500, memberCount: 2 });
  const { rows } = await server.sql.query(
    `select count(*)::int as count from messages m join chats c on c.id = m.chat_id
    where c.key = 'twice' and m.content = 'message ' || m.seq`,
  );
  expect(rows).toEqual([{ count: 2_500 }]);
});

test('an import that is cut off continues from the same place when it is sent again', async () => {
  const lines = [...conversation('cut', 3_000), end('cut')];
  const text = toLines(lines);
  const { port } = new URL(server.url);
  const sending = request({
    ...{ port, path: '/api/import', method: 'POST' },
    headers: { authorization: `Bearer ${key.token}`, 'content-type': 'application/jsonl' },
  });
  sending.on('error', () => {});
  sending.write(text.slice(0, text.length / 2));
  await expect.poll(() => countMessages('cut')).toBeGreaterThanOrEqual(1_000);
  const closed = once(sending, 'close').catch(() => undefined);
  sending.destroy();
  await closed;
  expect(await readChat(ada, 'cut')).toBeNull();
  const { report } = await send(lines, other);
  expect(report).toMatchObject({ refused: 0, ended: 1 });
  expect(report.messages.skipped).toBeGreaterThanOrEqual(1_000);
  expect(report.messages.created + report.messages.skipped).toBe(3_000);
  expect(await readChat(ada, 'cut')).toMatchObject({ lastSeq: 3_000 });
});

test('an import ends with its key, and its client reads why', async () => {
  const brief = await insertProgram(server, ['ADMIN']);
  const chunks = [conversation('revoked', 1_500), conversation('revoked', 3_000).slice(1_503)];
  let supply: (lines: unknown[] | undefined) => void = () => {};
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      supply = (lines = []) => controller.enqueue(new TextEncoder().encode(toLines(lines)));
    },
  });
  const answer = importLines(server, brief.token, body);
  supply(chunks[0]);
  await expect.poll(() => countMessages('revoked')).toBe(1_000);
  await server.sql.query('update api_keys set revoked_at = now() where secret_hash = sha256(convert_to($1, $2))', [
    ...[brief.token, 'UTF8'],
  ]);
  await expect.poll(async () => (await brief.post('{ api { version } viewer { id } }')).errors).toBeDefined();
  supply(chunks[1]);
  expect(await answer).toEqual({ status: 401, report: { error: 'The API key is not valid.' } });
  expect(await countMessages('revoked')).toBe(1_000);
});

test('lines that break rules are refused with their line numbers, and the other lines are imported', async () => {
  const message = { chat: 'rules', key: 'x', sender: 'shop:ada', content: 'x', at: '2020-01-01T00:00:00Z' };
  const cases: [unknown, string, string][] = [
    ['{"message": ', '', 'is not JSON'],
    ['[]', '', 'must be an object with one property'],
    ['{"message":{},"chat":{}}', '', 'must be an object with one property'],
    ['{"__proto__":{}}', '', 'must be an object with one property'],
    ['['.repeat(100_000), '', 'is not JSON'],
    [`${'['.repeat(50_000)}${']'.repeat(50_000)}`, '', 'must be an object with one property'],
    [`"${'x'.repeat(300_000)}"`, '', 'is longer than 262144 bytes'],
    [{ message: { ...message, sender: undefined } }, 'message.sender', ''],
    [{ message: { ...message, extra: 1 } }, 'message', 'has a property that the format does not have'],
    [{ message: { ...message, at: 'yesterday' } }, 'message.at', ''],
    [{ message: { ...message, at: '2999-01-01T00:00:00Z' } }, 'message.at', 'must not be in the future'],
    [{ message: { ...message, content: ' ' } }, 'message.content', 'must not be empty'],
    [{ message: { ...message, content: 'x'.repeat(10_001) } }, 'message.content', 'must be at most 10000'],
    [{ message: { ...message, content: 'a\0b' } }, 'message.content', 'must not contain control characters'],
    [{ message: { ...message, custom: { a: 'x'.repeat(5_000) } } }, 'message.custom', 'must be at most 4096 bytes'],
    [{ message: { ...message, sender: 'nobody' } }, 'message.sender', 'there is no user with this key'],
    [{ message: { ...message, chat: 'nowhere' } }, 'message.chat', 'there is no chat with this key'],
    [{ message: { ...message, replyTo: 'nothing' } }, 'message.replyTo', 'there is no earlier message'],
    [{ message: { ...message, editedAt: '2019-01-01T00:00:00Z' } }, 'message.editedAt', 'must not be before `at`'],
    [{ member: { chat: 'rules', user: 'nobody' } }, 'member.user', 'there is no user with this key'],
    [{ chat: { key: 'y', type: 'PUBLIC_CHANNEL' } }, 'chat.name', 'a channel must have a name'],
    [{ chat: { key: 'a b', type: 'GROUP' } }, 'chat.key', 'must consist of visible ASCII characters'],
    [{ user: { key: 'u', username: 'everyone' } }, 'user.username', 'is reserved'],
    [{ user: { key: 'u', kind: 'BOT', email: 'bot@example.com' } }, 'user.email', 'a bot has no email address'],
    [{ end: { chat: 'elsewhere' } }, 'end.chat', 'there is no chat with this key'],
  ];
  const bad = cases.map(([line]) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
  const good = conversation('rules', 2);
  const text = `\ufeff${toLines(good.slice(0, 4))}\n \r\n${bad.join('')}${toLines(good.slice(4))}`;
  const { status, report } = await importLines(server, key.token, text.trimEnd());
  expect(status).toBe(200);
  expect(report).toMatchObject({ refused: cases.length, messages: { created: 2 } });
  expect(report.errors.map(({ line }: Data) => line)).toEqual(cases.map((_, index) => index + 7));
  for (const [index, [, path, said]] of cases.entries()) {
    expect(report.errors[index]).toMatchObject({ path, message: expect.stringContaining(said) });
  }
});

test('a chat does not end while lines of it were refused, unless that is forced', async () => {
  const lines = conversation('held', 2);
  const wrong = { message: { chat: 'held', key: 'm3', sender: 'nobody', content: 'x', at: '2020-01-02T00:00:00Z' } };
  const { report } = await send([...lines, wrong, end('held')]);
  expect(report).toMatchObject({ refused: 2, ended: 0 });
  expect(report.errors[1]).toMatchObject({ line: 7, path: 'end.chat' });
  expect(await readChat(ada, 'held')).toBeNull();
  const right = { message: { ...wrong.message, sender: 'shop:grace' } };
  expect((await send([...lines, right, end('held')])).report).toMatchObject({ refused: 0, ended: 1 });
  expect(await readChat(ada, 'held')).toMatchObject({ lastSeq: 3 });
  expect(
    (
      await send([
        ...conversation('forced', 1),
        { member: { chat: 'forced', user: 'x' } },
        end('forced', { force: true }),
      ])
    ).report,
  ).toMatchObject({ refused: 1, ended: 1 });
});

test('an import writes into no other chat, and into none that has ended', async () => {
  const groupId = await createGroup(ada, [grace]);
  await server.sql.query(`update chats set key = 'ordinary' where id = $1`, [keyOf(groupId)]);
  await send([...conversation('ended', 1), end('ended')]);
  for (const [chat, message] of [
    ['ordinary', 'this chat was not created by an import'],
    ['ended', 'the import of this chat has ended'],
  ]) {
    const [, , , line] = conversation(chat ?? '', 1);
    const late = { message: { ...(line?.['message'] as object), key: 'late' } };
    const { report } = await send([late, { discard: { chat } }]);
    expect(report.errors).toEqual([
      { line: 1, path: 'message.chat', message },
      { line: 2, path: 'discard.chat', message },
    ]);
  }
  expect((await send(conversation('ordinary', 1))).report).toMatchObject({ refused: 4, chats: { created: 0 } });
  expect(await countMessages('ordinary')).toBe(0);
});

test('a chat whose import has not ended can be discarded, and imported again', async () => {
  await send(conversation('discarded', 3));
  const before = await server.sql.query('select count(*)::int as count from events');
  const lines = [{ discard: { chat: 'discarded' } }, ...conversation('discarded', 1), end('discarded')];
  expect((await send(lines)).report).toMatchObject({ discarded: 1, messages: { created: 1 }, ended: 1 });
  expect(await readChat(ada, 'discarded')).toMatchObject({ lastSeq: 1 });
  const after = await server.sql.query('select count(*)::int as count from events');
  expect(after.rows[0].count).toBe(before.rows[0].count + 1);
});

test('users keep their data, and a username or an address that is taken is not given to anyone else', async () => {
  const lines = [
    { user: { key: 'shop:ada', username: 'another', displayName: 'Another' } },
    { user: { key: 'shop:new', username: 'ADA', displayName: 'New' } },
    { user: { key: 'shop:mail', username: 'mail', email: 'ADA@example.com' } },
    { user: { key: 'shop:own', email: 'own@example.com', displayName: 'Own Name' } },
  ];
  const { report } = await send(lines);
  expect(report.users).toEqual({ created: 3, skipped: 1 });
  expect(report.notes).toMatchObject([
    { line: 2, path: 'user.username' },
    { line: 3, path: 'user.email' },
  ]);
  const { rows } = await server.sql.query(
    `select key, username, email, email_verified_at is not null as verified from users where key like 'shop:%'
      and key in ('shop:ada', 'shop:new', 'shop:mail', 'shop:own') order by id`,
  );
  expect(rows).toEqual([
    { key: 'shop:ada', username: 'ada', email: 'ada@example.com', verified: false },
    { key: 'shop:new', username: 'ADA2', email: null, verified: false },
    { key: 'shop:mail', username: 'mail', email: null, verified: false },
    { key: 'shop:own', username: 'Own_Name', email: 'own@example.com', verified: true },
  ]);
  expect((await send(lines)).report.users).toEqual({ created: 0, skipped: 4 });
});

test('a single chat has one or two members, and a pair has one', async () => {
  const single = (chat: string, ...users: string[]) => [
    { chat: { key: chat, type: 'SINGLE' } },
    ...users.map((user) => ({ member: { chat, user } })),
    end(chat),
  ];
  expect((await send(single('pair', 'shop:ada', 'shop:grace'))).report).toMatchObject({ ended: 1, refused: 0 });
  expect((await send(single('self', 'shop:ada'))).report).toMatchObject({ ended: 1 });
  expect((await send(single('second', 'shop:grace', 'shop:ada'))).report.errors).toMatchObject([
    { line: 4, message: 'the two people already have a single chat' },
  ]);
  expect((await send(single('empty'))).report.errors).toMatchObject([
    { message: 'a single chat has one or two members' },
  ]);
  expect(await readChat(grace, 'pair')).toMatchObject({ type: 'SINGLE', memberCount: 2 });
});

test('only the functions of an import can silence a chat, and only one that they create', async () => {
  const id = keyOf(await createGroup(ada, [grace]));
  await expect(
    server.sql.query(`update chats set key = 'silent', is_importing = true where id = $1`, [id]),
  ).rejects.toMatchObject({ code: '23514' });
  await asSuperuser(server.database, async (client) => {
    await client.query('create role shop_writer; grant insert, update, select on chats to shop_writer');
    try {
      await client.query('set role shop_writer');
      await expect(
        client.query(`insert into chats (type, key, is_importing) values ('GROUP', 'mine', true)`),
      ).rejects.toMatchObject({ code: '42501' });
    } finally {
      await client.query('reset role; drop owned by shop_writer; drop role shop_writer');
    }
  });
});

test('a body of 100 MB without a newline is one refused line, and takes no more memory than any other', async () => {
  const chunk = new TextEncoder().encode('x'.repeat(1024 * 1024));
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1;
      if (sent > 100) controller.close();
      else controller.enqueue(chunk);
    },
  });
  const before = process.memoryUsage().rss;
  const { report } = await importLines(server, key.token, body);
  expect(report).toMatchObject({ lines: 1, refused: 1, errors: [{ line: 1, message: 'is longer than 262144 bytes' }] });
  expect(process.memoryUsage().rss - before).toBeLessThan(80 * 1024 * 1024);
});

test.each([
  ['a session', async () => ada.token, 403],
  ['no token', async () => 'parley_none', 401],
  [
    'a key without one of the scopes',
    async () => (await insertProgram(server, ['USERS_WRITE', 'CHATS_WRITE'])).token,
    403,
  ],
])('an import with %s is refused', async (_, secretOf, status) => {
  expect((await importLines(server, await secretOf(), toLines([end('x')]))).status).toBe(status);
});

test('ADMIN alone may import; the body must be JSON lines, and the method POST', async () => {
  const { token: secret } = await insertProgram(server, ['ADMIN']);
  expect(await importLines(server, secret, '')).toMatchObject({ status: 200, report: { lines: 0 } });
  expect((await importLines(server, secret, '', { 'content-type': 'text/csv' })).status).toBe(415);
  expect((await importLines(server, secret, '', { 'content-encoding': 'gzip' })).status).toBe(415);
  expect((await fetch(`${server.url}/api/import`)).status).toBe(405);
});

test('the audit log says which chats and users were imported', async () => {
  await send([{ user: { key: 'shop:audited' } }, ...conversation('audited', 1), end('audited')]);
  const { rows } = await server.sql.query(
    `select action from audit_entries where (target_type, target_key) in (
      select 'Chat', id::text from chats where key = 'audited'
      union select 'User', id::text from users where key = 'shop:audited') order by id`,
  );
  expect(rows).toEqual([{ action: 'IMPORT_USER' }, { action: 'IMPORT_CHAT' }]);
});

test('an account that is erased during an import disappears from it', async () => {
  await send([
    { user: { key: 'shop:gone' } },
    ...conversation('erasure', 1),
    { member: { chat: 'erasure', user: 'shop:gone' } },
  ]);
  await server.sql.query(
    `update users set deleted_at = now(), key = null, username = 'erased_1', email = null where key = 'shop:gone'`,
  );
  expect((await send([end('erasure')])).report).toMatchObject({ ended: 1 });
  expect((await ask(server.url, '{ chatByKey(key: "erasure") { memberCount } }', {}, ada.token)).chatByKey).toEqual({
    memberCount: 2,
  });
});

test('a conversation of two is not turned into notes to self when one of them is erased during the import', async () => {
  const [chat, user] = ['half', 'shop:half'];
  await send([
    { user: { key: user } },
    { chat: { key: chat, type: 'SINGLE' } },
    ...['shop:grace', user].map((each) => ({ member: { chat, user: each } })),
  ]);
  await server.sql.query(
    `update users set deleted_at = now(), key = null, username = 'erased_half', email = null where key = $1`,
    [user],
  );
  expect((await send([end(chat)])).report.errors).toMatchObject([
    { message: 'one of the two people has been erased since the import began: discard the chat' },
  ]);
  expect((await send([{ discard: { chat } }])).report).toMatchObject({ refused: 0 });
});

test('importing the same lines again does not restore a chat or a user that has been deleted since', async () => {
  const lines = [{ user: { key: 'shop:leaver' } }, ...conversation('deleted', 1), end('deleted')];
  await send(lines);
  await server.sql.query(`delete from chats where key = 'deleted'`);
  await server.sql.query(
    `update users set deleted_at = now(), key = null, username = 'erased_2', email = null where key = 'shop:leaver'`,
  );
  const { report } = await send(lines, other);
  expect(report).toMatchObject({ refused: 6, ended: 0, users: { created: 0 }, chats: { created: 0 } });
  expect(report.errors.slice(0, 2)).toEqual([
    { line: 1, path: 'user.key', message: 'the user with this key has been erased' },
    { line: 2, path: 'chat.key', message: 'the chat with this key has been deleted' },
  ]);
  const { rows } = await server.sql.query(
    `select (select count(*)::int from chats where key = 'deleted') as chats,
      (select count(*)::int from users where key = 'shop:leaver') as users`,
  );
  expect(rows).toEqual([{ chats: 0, users: 0 }]);
  // The server keeps the key of an erased user only as a hash.
  const kept = `select from deleted_keys where key_hash = sha256('user:shop:leaver')`;
  expect((await server.sql.query(kept)).rowCount).toBe(1);
});

test('importing the same lines again does not restore a member who has left, and the report says so', async () => {
  const lines = [...conversation('left', 1), end('left')];
  await send(lines);
  const id = (await ada.ask('{ chatByKey(key: "left") { id } }')).chatByKey.id;
  await removePerson(ada, id, grace.userId);
  expect((await send(lines)).report).toMatchObject({
    ...{ refused: 0, members: { created: 0, skipped: 2 } },
    notes: [{ line: 3, path: 'member.user', message: 'is not a member, and the import of this chat has ended' }],
  });
  expect(await readChat(grace, 'left')).toBeNull();
});
