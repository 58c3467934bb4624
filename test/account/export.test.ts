import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { beforeAll, expect, test, vi } from 'vitest';
import { createGroup, keyOf, removeMember, say } from '../support/chat.ts';
import { signIn, signUp, type Data, type Person } from '../support/client.ts';
import { nothingInline, upload } from '../support/file.ts';
import { createInvite } from '../support/invite.ts';
import { issuersEnv, secondsFromNow, TestIssuer, viewerOf } from '../support/issuer.ts';
import { expectSent, mailSettings, startMailServer } from '../support/mail.ts';
import { addReaction, deleteMessage, editMessage } from '../support/message.ts';
import { reportMessage } from '../support/staff.ts';
import { ban, mute } from '../support/moderation.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { jsonIn, readZip } from '../support/zip.ts';

const mail = await startMailServer();
let issuer: TestIssuer;
let server: TestServer;
let other: TestServer;
let grace: Person;
beforeAll(async () => {
  issuer = await TestIssuer.start();
  const env = { ...issuersEnv(issuer), ...nothingInline, RATE_LIMITS: 'on', RATE_LIMIT_GUESSES: '3/15m' };
  server = await startServer({ env });
  other = await startServer({ database: server.database, env: { ...env, FILE_INLINE_BYTES: '16384' } });
  grace = await signUp(server, 'grace');
});

/** More bytes than the systems on both sides buffer. */
const largeBytes = 16_000_000;

const post = (token: string, body: unknown, node = server) =>
  fetch(`${node.url}/api/export`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

const exportOf = ({ token, password }: Person, node = server) => post(token, { password }, node);

async function filesOf(response: Response): Promise<Map<string, Buffer>> {
  expect(response.status).toBe(200);
  return readZip(await response.bytes());
}

async function expectRefusal(response: Response, status: number, error: string): Promise<void> {
  expect(response.status).toBe(status);
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect((await response.json()).error).toContain(error);
}

/** Starts an export and reads only its first chunk. */
async function begin({ token, password }: Person): Promise<IncomingMessage> {
  const outgoing = request(`${server.url}/api/export`, {
    headers: { authorization: `Bearer ${token}`, 'parley-password': password },
  }).end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  expect(response.statusCode).toBe(200);
  await once(response, 'readable');
  return response;
}

/** Whether the whole response arrives. */
async function arrives(response: IncomingMessage): Promise<boolean> {
  try {
    for await (const _ of response);
    return response.complete;
  } catch {
    return false;
  }
}

test('an export holds what its user did, and of other users only the names of those in the same chats', async () => {
  const ada = await signUp(server, 'ada');
  const chatId = await createGroup(ada, [grace], 'engines');
  const elsewhere = await createGroup(grace, [ada], 'elsewhere');
  const theirs = await say(grace, chatId, 'a secret of Grace');
  const first = await say(ada, chatId, 'hello @grace', { replyToId: theirs });
  await editMessage(ada, first, 'good morning @grace');
  const deleted = await say(ada, chatId, 'a slip');
  await deleteMessage(ada, deleted);
  await addReaction(ada, theirs, '🎉');
  await addReaction(grace, first, '👀');
  const notes = await upload(server, ada, 'on the disk', 'notes.txt');
  const inline = await upload(other, ada, 'in the database', 'notes.txt');
  const second = await say(ada, chatId, 'with a file', { fileIds: [notes.id] });
  await upload(server, grace, 'a file of Grace', 'grace.txt');
  await ada.ask('mutation ($id: ID!) { blockUser(userId: $id) { __typename } }', { id: grace.userId });
  const { id: inviteId, code } = await createInvite(ada, { chatId, maxUses: 3 });
  const { id: reportId } = await reportMessage(ada, theirs, { comment: 'rude' });
  await mute(grace, elsewhere, ada.userId, new Date('2100-01-01'));
  await ban(grace, elsewhere, ada.userId, { reason: 'noise' });
  await signIn(server, ada);

  const response = await exportOf(ada);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'application/zip',
    'content-disposition': expect.stringMatching(/^attachment; filename="ada-\d{4}-\d\d-\d\d\.zip"$/),
    'cache-control': 'no-store',
  });
  const files = await filesOf(response);
  expect(jsonIn(files, 'profile.json')).toMatchObject({
    id: ada.userId,
    username: 'ada',
    email: ada.email,
    hasPassword: true,
    serverRole: 'USER',
  });
  const session = { userAgent: 'node', issuer: null, createdAt: expect.any(String), lastUsedAt: expect.any(String) };
  expect(jsonIn(files, 'sessions.json')).toEqual([
    { id: expect.any(String), ...session },
    { id: expect.any(String), ...session },
  ]);
  expect(jsonIn(files, 'chats.json')).toMatchObject([
    { chatId, name: 'engines', type: 'GROUP', role: 'OWNER', otherMembers: [{ username: 'grace', displayName: null }] },
  ]);
  expect(jsonIn(files, 'messages.json').filter(({ kind }: Data) => kind === 'USER')).toMatchObject([
    { id: first, chatId, content: 'good morning @grace', replyToId: theirs, mentionedUserIds: [grace.userId] },
    { id: deleted, content: null, deletedAt: expect.any(String) },
    { id: second, content: 'with a file', fileIds: [notes.id] },
  ]);
  expect(jsonIn(files, 'edits.json')).toMatchObject([{ messageId: first, version: 1, content: 'hello @grace' }]);
  expect(jsonIn(files, 'reactions.json')).toMatchObject([{ messageId: theirs, emoji: '🎉' }]);
  expect(jsonIn(files, 'blocks.json')).toMatchObject([{ userId: grace.userId }]);
  expect(jsonIn(files, 'invites.json')).toMatchObject([{ id: inviteId, chatId, usesLeft: 3 }]);
  expect(jsonIn(files, 'restrictions.json')).toEqual([
    { kind: 'MUTE', chatId: elsewhere, until: '2100-01-01T00:00:00.000Z', reason: null, createdAt: expect.any(String) },
    { kind: 'BAN', chatId: elsewhere, until: null, reason: 'noise', createdAt: expect.any(String) },
  ]);
  expect(jsonIn(files, 'reports.json')).toEqual([
    {
      ...{ id: reportId, messageId: theirs, reason: 'HARASSMENT', comment: 'rude' },
      ...{ createdAt: expect.any(String), resolvedAt: null },
    },
  ]);
  expect(jsonIn(files, 'sign-ins.json')).toEqual([
    { kind: 'NETWORK', hash: expect.stringMatching(/^[0-9a-f]{64}$/), usedAt: expect.any(String) },
  ]);
  const listed: Data[] = jsonIn(files, 'files.json');
  expect(listed.map(({ id, name }) => [id, name])).toEqual([
    [notes.id, 'notes.txt'],
    [inline.id, 'notes.txt'],
  ]);
  expect(listed.map(({ path }) => files.get(path)?.toString())).toEqual(['on the disk', 'in the database']);
  const everything = Buffer.concat([...files.values()]).toString();
  for (const secret of ['of Grace', grace.email, code, '👀', 'a slip']) expect(everything).not.toContain(secret);
});

test('an export holds what its user wrote in a chat that they have left, and nothing else of that chat', async () => {
  const linus = await signUp(server, 'linus');
  const chatId = await createGroup(grace, [linus], 'kernels');
  const own = await say(linus, chatId, 'mine');
  await removeMember(server, chatId, linus);
  await say(grace, chatId, 'after that');
  const files = await filesOf(await exportOf(linus));
  expect(jsonIn(files, 'messages.json')).toMatchObject([{ id: own, chatId, content: 'mine' }]);
  expect(jsonIn(files, 'chats.json')).toEqual([]);
  expect(Buffer.concat([...files.values()]).toString()).not.toContain('kernels');
});

test('without the right password there is no export, and a URL cannot carry it', async () => {
  const alan = await signUp(server, 'alan');
  await expectRefusal(await fetch(`${server.url}/api/export`), 401, 'access token');
  await expectRefusal(await post('no-token', { password: alan.password }), 401, 'token');
  const headers = { authorization: `Bearer ${alan.token}` };
  const inUrl = `${server.url}/api/export?password=${encodeURIComponent(alan.password)}`;
  await expectRefusal(await fetch(inUrl, { headers }), 400, 'password');
  await expectRefusal(await fetch(inUrl, { method: 'POST', headers }), 400, 'password');
  await expectRefusal(await post(alan.token, { password: 'x'.repeat(129) }), 400, 'password');
  expect((await post(alan.token, { secret: alan.password })).status).toBe(400);
  const deletion = await fetch(`${server.url}/api/export`, { method: 'DELETE', headers });
  expect([deletion.status, deletion.headers.get('allow')]).toEqual([405, 'GET, POST']);
  await expectRefusal(await post(alan.token, { password: grace.password }), 403, 'The password is wrong.');
  await filesOf(await fetch(`${server.url}/api/export`, { headers: { ...headers, 'parley-password': alan.password } }));
});

test('wrong passwords count as they do elsewhere: after a few, the right one is refused as well', async () => {
  const barbara = await signUp(server, 'barbara');
  for (let count = 0; count < 3; count += 1) {
    await expectRefusal(await post(barbara.token, { password: 'wrong password' }), 403, 'wrong');
  }
  await expectRefusal(await exportOf(barbara), 429, 'Too many wrong passwords');
  const { errors } = await barbara.post(
    'mutation ($password: String!) { deleteAccount(password: $password) { __typename } }',
    {
      password: barbara.password,
    },
  );
  expect(errors?.[0]?.extensions?.['code']).toBe('RATE_LIMITED');
});

test('an export works once a day, on all nodes together', async () => {
  const ken = await signUp(server, 'ken');
  await filesOf(await exportOf(ken));
  for (const node of [server, other]) {
    const again = await exportOf(ken, node);
    expect(Number(again.headers.get('retry-after'))).toBeGreaterThan(80_000);
    expect(again.headers.get('ratelimit-policy')).toBe('"RATE_LIMIT_EXPORTS";q=1;w=86400');
    await expectRefusal(again, 429, 'You have exported your data already.');
  }
});

test('an account without a password needs a token that is less than five minutes old', async () => {
  const stale = await issuer.issue({ sub: 'ida', iat: secondsFromNow(-301) });
  const { user } = await viewerOf(server, stale);
  const get = (token: string) => fetch(`${server.url}/api/export`, { headers: { authorization: `Bearer ${token}` } });
  await expectRefusal(await get(stale), 403, 'within the last five minutes');
  await expectRefusal(await post(stale, { password: stale }), 403, 'within the last five minutes');
  const ofAnother = await issuer.issue({ sub: 'joan' });
  await expectRefusal(await post(stale, { password: ofAnother }), 403, 'within the last five minutes');
  const files = await filesOf(await get(await issuer.issue({ sub: 'ida' })));
  expect(jsonIn(files, 'profile.json')).toMatchObject({
    id: user.id,
    hasPassword: false,
    identities: [{ issuer: issuer.name, subject: 'ida' }],
  });
  const fresh = await issuer.issue({ sub: 'joan' });
  await filesOf(await post(ofAnother, { password: fresh }));
});

test('an export is announced by email to a verified address, and to no other', async () => {
  const mailed = await startServer({ env: mailSettings(mail) });
  const [hedy, jean] = [await signUp(mailed, 'hedy'), await signUp(mailed, 'jean')];
  await mailed.sql.query('update users set email_verified_at = now() where id = $1', [keyOf(hedy.userId)]);
  for (const person of [jean, hedy]) await filesOf(await exportOf(person, mailed));
  await expectSent(mailed);
  const announcements = mail.mails.filter(({ subject }) => subject.includes('Your data'));
  expect(announcements.map(({ to }) => to)).toEqual([hedy.email]);
  expect(announcements[0]?.text).toContain('change the password');
});

test('a suspended user gets no export', async () => {
  const mallory = await signUp(server, 'mallory');
  await server.sql.query(`insert into restrictions (user_id, kind) values ($1, 'SUSPENSION')`, [keyOf(mallory.userId)]);
  await expectRefusal(await exportOf(mallory), 401, 'session has ended');
});

test('each user can have one export at a time, and one that breaks off no longer counts, not even for the day', async () => {
  const edsger = await signUp(server, 'edsger');
  await upload(server, edsger, new Uint8Array(largeBytes), 'large.bin');
  const response = await begin(edsger);
  await expectRefusal(await exportOf(edsger), 409, 'under way');
  await expectRefusal(await exportOf(edsger, other), 409, 'under way');
  response.destroy();
  const after = await vi.waitFor(async () => {
    const next = await exportOf(edsger, other);
    expect(next.status).toBe(200);
    return next;
  }, 10_000);
  const files = await filesOf(after);
  expect(files.get(jsonIn(files, 'files.json')[0].path)).toHaveLength(largeBytes);
});

test.each<[string, (person: Person) => Promise<unknown>]>([
  [
    'the account is erased',
    ({ password, ask }) =>
      ask('mutation ($password: String!) { deleteAccount(password: $password) { __typename } }', { password }),
  ],
  ['the user signs out', ({ ask }) => ask('mutation { signOut }')],
  [
    'the user is suspended',
    ({ userId }) =>
      server.sql.query(`insert into restrictions (user_id, kind) values ($1, 'SUSPENSION')`, [keyOf(userId)]),
  ],
])('an export under way breaks off when %s', async (reason, end) => {
  const person = await signUp(server, `leaver${reason.length}`);
  await upload(server, person, new Uint8Array(largeBytes), 'large.bin');
  const response = await begin(person);
  await end(person);
  expect(await arrives(response)).toBe(false);
});

test('an export under way goes on when another session of the user ends', async () => {
  const donald = await signUp(server, 'donald');
  const elsewhere = await signIn(server, donald);
  await upload(server, donald, new Uint8Array(largeBytes), 'large.bin');
  const response = await begin(donald);
  await elsewhere.ask('mutation { signOut }');
  expect(await arrives(response)).toBe(true);
});

test('a file whose bytes are lost is missing, and the others are there', async () => {
  const frances = await signUp(server, 'frances');
  await upload(server, frances, 'a rare text of Frances', 'lost.txt');
  await upload(server, frances, 'another text of Frances', '../kept.txt');
  await upload(server, frances, 'a third text of Frances', 'kept.txt');
  const { rows } = await server.sql.query(
    `select encode(blob_hash, 'hex') as hash from files where name = 'lost.txt' and uploader_id = $1`,
    [keyOf(frances.userId)],
  );
  await rm(`${server.dataDir}/files/${rows[0].hash.slice(0, 2)}/${rows[0].hash.slice(2)}`);
  const files = await filesOf(await exportOf(frances));
  const listed: Data[] = jsonIn(files, 'files.json');
  expect(listed.map(({ path }) => files.get(path)?.toString())).toEqual([
    undefined,
    'another text of Frances',
    'a third text of Frances',
  ]);
  expect(listed.map(({ path }) => path.replace(/\d+/, '1'))).toEqual([
    'files/1-lost.txt',
    'files/1-kept.txt',
    'files/1-kept.txt',
  ]);
});
