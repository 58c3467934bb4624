import { afterAll, beforeAll, expect, test } from 'vitest';
import { Router } from '../../../src/http/rest/route.ts';
import { routes } from '../../../src/http/rest/table.ts';
import { insertProgram } from '../../support/api-key.ts';
import { keyOf } from '../../support/chat.ts';
import { signIn, signUpAll, type Data, type Person } from '../../support/client.ts';
import { mailSettings, startMailServer } from '../../support/mail.ts';
import { call, type RestAnswer, type RestOptions } from '../../support/rest.ts';
import { awaitIndex } from '../../support/search.ts';
import { startServer, type TestServer } from '../../support/server.ts';
import { sharedServer } from '../../support/shared-server.ts';

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

const router = new Router(routes);
const exercised = new Set<string>();

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let chatId: string;

beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
  chatId = (await as(ada, 'POST /api/chats', { type: 'group', name: 'Crew', memberIds: [grace.userId] })).body.id;
});

afterAll(() => {
  const missing = routes.map(({ method, path }) => `${method} ${path}`).filter((row) => !exercised.has(row));
  if (missing.length > 0) throw new Error(`no test succeeds with these rows of the table: ${missing.join(', ')}`);
});

/** Sends a request. If the request succeeds, records which row of the table answered it. */
async function send(request: string, options: RestOptions = {}, to: TestServer = server): Promise<RestAnswer> {
  const answer = await call(to, request, options);
  const [method = '', url = ''] = request.split(' ');
  const row = router.find(url.split('?')[0] ?? '')?.routes.get(method);
  if (row !== undefined && answer.status < 300) exercised.add(`${row.method} ${row.path}`);
  return answer;
}

function as(by: Person, request: string, body?: unknown): Promise<RestAnswer> {
  return send(request, { by, body });
}

async function say(by: Person, content: string): Promise<Data> {
  return (await as(by, `POST /api/chats/${chatId}/messages`, { content })).body;
}

async function upload(by: Person, name: string): Promise<string> {
  const form = new FormData();
  form.append('file', new Blob([png]), name);
  const headers = { authorization: `Bearer ${by.token}` };
  const response = await fetch(`${server.url}/api/upload`, { method: 'POST', headers, body: form });
  const { files }: Data = await response.json();
  return files[0].id;
}

test('an account signs up, in and out, and refreshes its tokens', async () => {
  const credentials = { email: 'mary@example.com', password: 'orange kettle 74 x' };
  const signedUp = await send('POST /api/signup', { body: { ...credentials, username: 'mary' } });
  expect(signedUp.status).toBe(201);
  expect(signedUp.body).toEqual({
    token: expect.any(String),
    refreshToken: expect.any(String),
    expiresAt: expect.stringMatching(/^\d{4}-.*Z$/),
    user: {
      id: expect.any(String),
      username: 'mary',
      key: null,
      displayName: null,
      avatar: null,
      custom: {},
      createdAt: expect.any(String),
    },
  });
  const signedIn = await send('POST /api/signin', { body: credentials });
  expect(signedIn).toMatchObject({ status: 200, body: { user: { id: signedUp.body.user.id } } });
  const refreshed = await send('POST /api/refresh', { body: { refreshToken: signedIn.body.refreshToken } });
  expect(Object.keys(refreshed.body)).toEqual(['token', 'refreshToken', 'expiresAt', 'user']);
  const by = refreshed.body;
  expect(await send('GET /api/me', { by })).toMatchObject({
    status: 200,
    body: { email: 'mary@example.com', hasPassword: true, user: { username: 'mary' } },
  });
  expect(await send('POST /api/signout', { by })).toMatchObject({ status: 204, body: undefined });
  expect((await send('GET /api/me', { by })).status).toBe(401);
});

test('a sign-up that has to be confirmed is accepted with 202, and a forgotten password is replaced', async () => {
  const mail = await startMailServer();
  await using confirming = await startServer({ env: mailSettings(mail, { SIGN_UP_CONFIRM: 'on' }) });
  const post = (path: string, body: unknown) => send(`POST ${path}`, { body }, confirming);
  const email = 'joan@example.com';
  const password = 'orange kettle 74 x';
  expect(await post('/api/signup', { email, username: 'joan', password })).toMatchObject({
    status: 202,
    body: { email },
  });
  expect((await post('/api/signin', { email, password })).status).toBe(401);
  const { token } = await mail.mailTo(email);
  expect(await post('/api/verify-email', { token })).toMatchObject({ status: 200, body: { email } });
  expect((await post('/api/signin', { email, password })).status).toBe(200);
  expect((await post('/api/forgot-password', { email })).status).toBe(204);
  const code = (await mail.mailTo(email)).token;
  const reset = await post('/api/reset-password', { token: code, newPassword: 'violet ladder 19 y' });
  expect(reset).toMatchObject({ status: 200, body: { user: { username: 'joan' } } });
  expect((await post('/api/reset-password', { token: code, newPassword: 'violet ladder 19 y' })).status).toBe(401);
});

test('the profile, the avatar, the sessions and the stream token', async () => {
  expect(await as(ada, 'PATCH /api/me', { displayName: 'Ada L.' })).toMatchObject({
    status: 200,
    body: { displayName: 'Ada L.' },
  });
  const fileId = await upload(ada, 'me.png');
  const avatar = await as(ada, 'PUT /api/me/avatar', { fileId });
  expect(avatar).toMatchObject({ status: 200, body: { avatar: { id: fileId } } });
  const phone = await signIn(server, ada);
  const { body } = await as(ada, 'GET /api/me/sessions');
  expect(body).toMatchObject({ items: [{ isCurrent: false }, { isCurrent: true }], nextCursor: null });
  expect((await as(ada, `DELETE /api/me/sessions/${body.items[0].id}`)).status).toBe(204);
  expect((await send('GET /api/me', { by: phone })).status).toBe(401);
  expect(await as(ada, 'POST /api/me/stream-token')).toMatchObject({
    status: 201,
    body: { streamToken: expect.any(String) },
  });
});

test('users are found, read and blocked', async () => {
  expect(await as(grace, 'GET /api/users?search=lin&limit=1')).toMatchObject({
    status: 200,
    body: { items: [{ id: linus.userId, username: 'linus' }], nextCursor: null },
  });
  expect(await as(grace, `GET /api/users/${linus.userId}`)).toMatchObject({ status: 200, body: { username: 'linus' } });
  expect((await as(grace, `PUT /api/users/${linus.userId}/block`)).status).toBe(204);
  expect(await as(grace, 'GET /api/me/blocks')).toMatchObject({ body: { items: [{ username: 'linus' }] } });
  expect((await as(grace, `DELETE /api/users/${linus.userId}/block`)).status).toBe(204);
  expect((await as(grace, 'GET /api/me/blocks')).body.items).toEqual([]);
});

test('a chat is created as the original API does it, with a number for the user', async () => {
  const user_id = Number(keyOf(linus.userId));
  const created = await as(ada, 'POST /api/chats', { type: 'single', user_id });
  expect(created).toMatchObject({ status: 201, body: { type: 'SINGLE', memberCount: 2 } });
  const same = await as(ada, 'POST /api/chats', { type: 'SINGLE', memberIds: [linus.userId] });
  expect(same.body.id).toBe(created.body.id);
});

test('a chat is read, changed, marked and deleted', async () => {
  expect(await as(grace, `GET /api/chats/${chatId}`)).toMatchObject({
    status: 200,
    body: { id: chatId, type: 'GROUP', name: 'Crew', viewerMembership: { role: 'MEMBER', unreadCount: 0 } },
  });
  const changed = await as(ada, `PATCH /api/chats/${chatId}`, { description: 'All of us', slowModeSeconds: 0 });
  expect(changed).toMatchObject({ status: 200, body: { name: 'Crew', description: 'All of us' } });
  expect(await as(ada, `PATCH /api/chats/${chatId}`, { description: null })).toMatchObject({
    body: { name: 'Crew', description: null },
  });
  const fileId = await upload(ada, 'crew.png');
  expect(await as(ada, `PUT /api/chats/${chatId}/avatar`, { fileId })).toMatchObject({
    body: { avatar: { id: fileId } },
  });
  const { seq } = await say(ada, 'hello');
  expect(await as(grace, `PUT /api/chats/${chatId}/read`, { seq })).toMatchObject({
    status: 200,
    body: { lastReadSeq: seq, unreadCount: 0 },
  });
  expect((await as(grace, `POST /api/chats/${chatId}/typing`)).status).toBe(204);
  expect(await as(grace, `PUT /api/chats/${chatId}/notifications`, { level: 'mentions' })).toMatchObject({
    body: { notificationLevel: 'MENTIONS' },
  });
  const { id } = (await as(ada, 'POST /api/chats', { type: 'PRIVATE_CHANNEL', name: 'Brief' })).body;
  expect((await as(ada, `DELETE /api/chats/${id}`)).status).toBe(204);
  expect((await as(ada, `GET /api/chats/${id}`)).status).toBe(404);
});

test('a back end keeps its own keys for users and chats', async () => {
  const shop = { by: await insertProgram(server, ['USERS_READ', 'USERS_WRITE', 'CHATS_READ', 'CHATS_WRITE']) };
  const user = await send('PUT /api/by-key/users/customer:7', {
    ...shop,
    body: { username: 'barbara', custom: { vip: true } },
  });
  expect(user).toMatchObject({ status: 200, body: { key: 'customer:7', username: 'barbara', custom: { vip: true } } });
  expect(await send('GET /api/by-key/users/customer%3A7', shop)).toEqual(expect.objectContaining({ body: user.body }));
  const body = { type: 'group', name: 'Order 42', memberIds: [user.body.id, ada.userId] };
  const chat = await send('PUT /api/by-key/chats/order:42', { ...shop, body });
  expect(chat).toMatchObject({
    status: 200,
    body: { key: 'order:42', type: 'GROUP', name: 'Order 42', memberCount: 2 },
  });
  const same = await send('PUT /api/by-key/chats/order:42', {
    ...shop,
    body: { type: 'GROUP', name: 'Order 42 (sent)' },
  });
  expect(same.body).toEqual({ ...chat.body, name: 'Order 42 (sent)' });
  expect((await send('GET /api/by-key/chats/order:42', shop)).body).toEqual(same.body);
  expect((await as(ada, 'GET /api/by-key/chats/order:42')).body).toEqual(same.body);
  expect((await as(linus, 'GET /api/by-key/chats/order:42')).status).toBe(404);
  expect((await as(ada, 'PUT /api/by-key/chats/order:42', { type: 'GROUP' })).status).toBe(403);
});

test('members are added, listed, promoted and removed', async () => {
  const path = `/api/chats/${chatId}/members`;
  expect(await as(ada, `POST ${path}`, { userIds: [linus.userId], history: 'all' })).toMatchObject({
    status: 200,
    body: { memberCount: 3 },
  });
  const first = await as(ada, `GET ${path}?limit=2`);
  const rest = await as(ada, `GET ${path}?limit=2&cursor=${first.body.nextCursor}`);
  expect(rest.body.nextCursor).toBe(null);
  const members: Data[] = [...first.body.items, ...rest.body.items];
  expect(members.map(({ role, user }) => `${user.username} ${role}`).toSorted()).toEqual([
    'ada OWNER',
    'grace MEMBER',
    'linus MEMBER',
  ]);
  expect(await as(ada, `PATCH ${path}/${linus.userId}`, { role: 'ADMIN' })).toMatchObject({
    status: 200,
    body: { role: 'ADMIN' },
  });
  expect((await as(ada, `DELETE ${path}/${linus.userId}`)).status).toBe(204);
  expect((await as(linus, `GET ${path}`)).status).toBe(404);
  const user_id = keyOf(linus.userId);
  expect((await as(ada, `POST ${path}`, { user_id: Number(user_id) })).body).toMatchObject({ memberCount: 3 });
  expect((await as(linus, `DELETE ${path}/me`)).status).toBe(204);
});

test('a public channel is found, joined and left', async () => {
  const { id } = (await as(ada, 'POST /api/chats', { type: 'public_channel', name: 'News' })).body;
  expect((await as(linus, 'GET /api/channels?search=new')).body).toMatchObject({ items: [{ id, name: 'News' }] });
  expect(await as(linus, `PUT /api/chats/${id}/members/me`)).toMatchObject({ status: 200, body: { memberCount: 2 } });
  expect((await as(linus, 'GET /api/chats?type=public_channel')).body.items).toMatchObject([{ id }]);
  expect((await as(linus, `DELETE /api/chats/${id}/members/me`)).status).toBe(204);
  expect((await as(linus, 'GET /api/chats?type=public_channel')).body.items).toEqual([]);
});

test('a message is sent with a file, read, edited, found and deleted', async () => {
  const fileId = await upload(ada, 'plan.png');
  const body = { content: 'The plan for Kythera', files: [fileId], clientMessageId: 'plan-1', custom: { step: 1 } };
  const sent = await as(ada, `POST /api/chats/${chatId}/messages`, body);
  expect(sent).toMatchObject({
    status: 201,
    body: {
      chat: { id: chatId },
      content: 'The plan for Kythera',
      clientMessageId: 'plan-1',
      custom: { step: 1 },
      sender: { id: ada.userId, username: 'ada' },
      files: [{ id: fileId, name: 'plan.png', contentType: 'image/png', url: expect.stringMatching(/^\/files\//) }],
      reactions: [],
      editedAt: null,
    },
  });
  const { id } = sent.body;
  expect(
    (await as(ada, `POST /api/chats/${chatId}/messages`, { ...body, fileIds: [fileId], files: undefined })).body.id,
  ).toBe(id);
  expect(await as(grace, `GET /api/messages/${id}`)).toMatchObject({ status: 200, body: { id, seq: sent.body.seq } });
  expect(await as(grace, `GET /api/files/${fileId}`)).toMatchObject({ status: 200, body: { name: 'plan.png' } });
  expect((await as(grace, `GET /api/chats/${chatId}/files`)).body).toMatchObject({ items: [{ id: fileId }] });
  await awaitIndex(server);
  expect((await as(grace, `GET /api/search?q=kythera&chatId=${chatId}&has=file`)).body).toMatchObject({
    items: [{ id }],
    nextCursor: null,
  });
  expect(await as(ada, `PATCH /api/messages/${id}`, { content: 'The plan' })).toMatchObject({
    status: 200,
    body: { content: 'The plan', editedAt: expect.any(String) },
  });
  expect((await as(ada, `DELETE /api/messages/${id}`)).status).toBe(204);
  expect((await as(ada, `GET /api/messages/${id}`)).body).toMatchObject({
    content: null,
    deletedAt: expect.any(String),
  });
});

test('messages are read page by page, newest first, without gaps', async () => {
  const contents = ['one', 'two', 'three', 'four', 'five'];
  for (const content of contents) await say(ada, content);
  const read: string[] = [];
  let cursor: string | null = null;
  do {
    const page: RestAnswer = await as(
      grace,
      `GET /api/chats/${chatId}/messages?limit=2${cursor === null ? '' : `&cursor=${cursor}`}`,
    );
    read.push(...page.body.items.map(({ content }: { content: string }) => content));
    cursor = page.body.nextCursor;
  } while (cursor !== null);
  expect(read.slice(0, 5)).toEqual(contents.toReversed());
  expect((await as(grace, `GET /api/chats/${chatId}/messages`)).body.items).toHaveLength(read.length);
});

test('a message gets reactions and a pin', async () => {
  const { id } = await say(ada, 'Who is in?');
  const reaction = `/api/messages/${id}/reactions/${encodeURIComponent('👍')}`;
  expect((await as(grace, `PUT ${reaction}`)).status).toBe(204);
  expect((await as(grace, `GET /api/messages/${id}`)).body.reactions).toEqual([
    { emoji: '👍', count: 1, viewerReacted: true },
  ]);
  expect((await as(grace, `DELETE ${reaction}`)).status).toBe(204);
  expect((await as(grace, `PUT /api/messages/${id}/pin`)).status).toBe(204);
  expect((await as(ada, `GET /api/chats/${chatId}/pins`)).body).toMatchObject({ items: [{ id }], nextCursor: null });
  expect((await as(grace, `DELETE /api/messages/${id}/pin`)).status).toBe(204);
});
