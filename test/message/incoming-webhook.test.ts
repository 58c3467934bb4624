import { beforeAll, describe, expect, test } from 'vitest';
import { maxIncomingWebhooks } from '../../src/message/incoming-webhook.ts';
import { createGroup, createPublicChannel, keyOf } from '../support/chat.ts';
import { signUpAll, type Data, type Person } from '../support/client.ts';
import { deleteChat, removePerson, setMemberRole, updateChat } from '../support/membership.ts';
import { inMinutes, mute } from '../support/moderation.ts';
import { startServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { followEvents, eventOf } from '../support/stream.ts';

const server = await sharedServer();
const other = await sharedNode(server);
const [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
let chatId = '';
beforeAll(async () => void (chatId = await createGroup(ada, [grace])));

const createDocument = `mutation ($chatId: ID!, $name: String!) {
  createIncomingWebhook(chatId: $chatId, name: $name) {
    __typename
    ... on Error { code }
    ... on InvalidInput { fields { path code } }
    ... on CreatedIncomingWebhook { url incomingWebhook { id createdAt chat { id } bot { id username displayName } } }
  }
}`;
const revokeDocument = `mutation ($id: ID!) {
  revokeIncomingWebhook(incomingWebhookId: $id) {
    __typename ... on Error { code } ... on IncomingWebhook { id bot { displayName } }
  }
}`;
const create = async (by: Person, name = 'CI', where = chatId): Promise<Data> =>
  (await by.ask(createDocument, { chatId: where, name })).createIncomingWebhook;
const revoke = async (by: Person, id: string): Promise<Data> =>
  (await by.ask(revokeDocument, { id })).revokeIncomingWebhook;

function post(
  url: string,
  body: unknown,
  {
    search = '',
    headers = {},
    at = server,
  }: { search?: string; headers?: Record<string, string>; at?: { url: string } } = {},
) {
  return fetch(`${at.url}${url}${search}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}
const outcomeOf = async (answer: Response) => [answer.status, await answer.text()];

/** Returns a chat's newest message and the reader's unread counts. By default, the reader is Grace. */
async function newest(where = chatId, by = grace): Promise<Data> {
  const { chat } = await by.ask(
    `query ($id: ID!) { chat: node(id: $id) { ... on Chat {
      viewerMembership { unreadCount unreadMentionCount }
      messages(last: 1) { edges { node { content custom mentions { isEveryone } sender { username displayName } } } }
    } } }`,
    { id: where },
  );
  return { ...chat.messages.edges[0]?.node, ...chat.viewerMembership };
}

describe('an incoming webhook', () => {
  test('is created by an owner or an admin, and adds its bot to the chat', async () => {
    await using stream = await followEvents(server, grace);
    const { url, incomingWebhook } = await create(ada, 'Build');
    expect(url).toMatch(/^\/api\/hooks\/pwh_[A-Za-z0-9_-]{43}$/);
    expect(incomingWebhook).toMatchObject({ chat: { id: chatId }, bot: { displayName: 'Build' } });
    expect(eventOf(await stream.next('AddToChat'))).toMatchObject({
      members: [{ user: { username: incomingWebhook.bot.username } }],
    });
    const { rows } = await server.sql.query('select * from incoming_webhooks');
    expect(JSON.stringify(rows)).not.toContain(url.slice(-43));
  });

  test('is refused for members, for strangers, for single chats and without a name', async () => {
    expect(await create(grace)).toMatchObject({ __typename: 'Forbidden' });
    expect(await create(linus)).toMatchObject({ __typename: 'NotFound' });
    expect(await create(ada, ' ')).toMatchObject({ __typename: 'InvalidInput', fields: [{ path: ['name'] }] });
    const single = await ada.ask(
      'mutation ($id: ID!) { createChat(input: { type: SINGLE, memberIds: [$id] }) { ... on Chat { id } } }',
      { id: grace.userId },
    );
    expect(await create(ada, 'CI', single.createChat.id)).toMatchObject({ __typename: 'Forbidden' });
    const { errors } = await server.post(createDocument, { chatId, name: 'CI' });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  test('whose key is revoked in the database ends, and its bot leaves the chat', async () => {
    const { url, incomingWebhook } = await create(ada, 'Leaver');
    await using stream = await followEvents(server, grace);
    const { rowCount } = await server.sql.query('update api_keys set revoked_at = now() where bot_id = $1', [
      keyOf(incomingWebhook.bot.id),
    ]);
    expect(rowCount).toBe(1);
    expect(eventOf(await stream.next('RemoveFromChat'))).toMatchObject({ userId: incomingWebhook.bot.id });
    expect((await post(url, { content: 'too late' })).status).toBe(404);
  });

  test('posts as its bot, on every node, and counts as unread', async () => {
    const { url, incomingWebhook } = await create(ada, 'Deploys');
    const { unreadCount } = await newest();
    expect(await outcomeOf(await post(url, { content: 'Deployed 1.2' }))).toEqual([204, '']);
    expect(await newest()).toEqual({
      content: 'Deployed 1.2',
      custom: {},
      mentions: [],
      sender: { username: incomingWebhook.bot.username, displayName: 'Deploys' },
      unreadCount: unreadCount + 1,
      unreadMentionCount: 0,
    });
    expect((await post(url, { content: 'from another node' }, { at: other })).status).toBe(204);
    expect(await newest()).toMatchObject({ content: 'from another node' });
  });

  test('answers with the message where Discord would', async () => {
    const { url, incomingWebhook } = await create(ada);
    const answer = await post(url, { content: 'wait for it' }, { search: '?wait=true' });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      id: expect.any(String),
      content: 'wait for it',
      channel_id: chatId,
      author: { id: incomingWebhook.bot.id, username: incomingWebhook.bot.username, bot: true },
    });
  });

  test('accepts the formats of Slack, and answers ok', async () => {
    const { url } = await create(ada);
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const payload = JSON.stringify({ text: 'in a form & more' });
    for (const answer of [
      await post(url, { text: 'in a form & more' }),
      await post(url, `payload=${encodeURIComponent(payload)}`, { headers: form }),
      await post(url, payload, { headers: form }),
      await post(url, { text: 'in a form & more' }, { headers: { 'content-type': 'text/plain' } }),
      await post(`${url}/slack`, { text: 'in a form & more' }),
    ]) {
      expect(await outcomeOf(answer)).toEqual([200, 'ok']);
      expect(await newest()).toMatchObject({ content: 'in a form & more' });
    }
  });

  test('shows a given name as a label beside the bot', async () => {
    const { url, incomingWebhook } = await create(ada, 'Alerts');
    await post(url, { content: 'high load', username: 'ada', avatar_url: 'https://example.com/a.png' });
    expect(await newest()).toMatchObject({
      custom: { username: 'ada' },
      sender: { username: incomingWebhook.bot.username, displayName: 'Alerts' },
    });
  });

  test('mentions people, but never everyone, not even with a role', async () => {
    const { url, incomingWebhook } = await create(ada);
    const before = await newest();
    await setMemberRole(ada, chatId, incomingWebhook.bot.id, 'ADMIN');
    for (const content of ['@everyone look', '<!everyone> look']) {
      await post(
        content.startsWith('<') ? `${url}/slack` : url,
        content.startsWith('<') ? { text: content } : { content },
      );
      expect(await newest()).toMatchObject({
        content: '@everyone look',
        mentions: [],
        unreadMentionCount: before.unreadMentionCount,
      });
    }
    await post(url, { content: 'hello @grace' });
    expect((await newest()).unreadMentionCount).toBe(before.unreadMentionCount + 1);
  });
});

describe('a request is refused', () => {
  let url = '';
  beforeAll(async () => void ({ url } = await create(ada, 'Refused')));

  test.each([
    ['no text', {}, [400, 50_006], 'no_text'],
    ['only spaces', { content: '  ', text: '  ' }, [400, 50_006], 'no_text'],
    ['too long a text', { content: 'x'.repeat(10_001), text: 'x'.repeat(10_001) }, [400, 50_035], 'invalid_payload'],
    ['a control character', { content: 'a\u0000b', text: 'a\u0000b' }, [400, 50_035], 'invalid_payload'],
    ['no JSON', '{', [400, 50_035], 'invalid_payload'],
    ['no object', '[1]', [400, 50_035], 'invalid_payload'],
    ['too large a body', { content: 'x'.repeat(300_000), text: '' }, [413, 50_035], 'invalid_payload'],
  ])('with %s, in the form of Discord and of Slack', async (_, body, [status, code], word) => {
    const answer = await post(url, body);
    expect([answer.status, (await answer.json()).code]).toEqual([status, code]);
    expect(await outcomeOf(await post(`${url}/slack`, body))).toEqual([status, word]);
  });

  test('for an unknown token, another method or a file', async () => {
    const unknown = `/api/hooks/pwh_${'A'.repeat(43)}`;
    const answer = await post(unknown, { content: 'hi' });
    expect([answer.status, await answer.json()]).toEqual([
      404,
      { message: 'There is no such incoming webhook.', code: 10_015 },
    ]);
    expect(await outcomeOf(await post('/api/hooks/x/slack', { text: 'hi' }))).toEqual([404, 'no_service']);
    const got = await fetch(`${server.url}${url}`);
    expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST']);
    const form = new FormData();
    form.set('file', new Blob(['x']), 'x.txt');
    expect((await fetch(`${server.url}${url}`, { method: 'POST', body: form })).status).toBe(415);
  });

  test('while the bot is muted, and in slow mode', async () => {
    const hook = await create(ada);
    await mute(ada, chatId, hook.incomingWebhook.bot.id, inMinutes(5));
    expect((await post(hook.url, { content: 'hi' })).status).toBe(403);
    expect(await outcomeOf(await post(`${hook.url}/slack`, { text: 'hi' }))).toEqual([403, 'action_prohibited']);
    const slow = await createPublicChannel(ada);
    await updateChat(ada, slow, { slowModeSeconds: 600 });
    const { url: slowUrl } = await create(ada, 'Slow', slow);
    expect((await post(slowUrl, { content: 'one' })).status).toBe(204);
    const limited = await post(slowUrl, { content: 'two' });
    expect([limited.status, Number(limited.headers.get('retry-after'))]).toEqual([429, expect.any(Number)]);
    expect(await limited.json()).toMatchObject({ retry_after: expect.any(Number), global: false });
    expect(await outcomeOf(await post(`${slowUrl}/slack`, { text: 'two' }))).toEqual([429, 'rate_limited']);
  });

  test('beyond the limits, with the time to wait', async () => {
    await using strict = await startServer({
      database: server.database,
      env: { RATE_LIMITS: 'on', RATE_LIMIT_SENDS_PER_SESSION: '2/1h', RATE_LIMIT_UNKNOWN_HOOKS: '2/1h' },
    });
    const statuses = async (path: string, body: unknown) => {
      const answers = [1, 2, 3].map(() => () => post(path, body, { at: strict }));
      const found: number[] = [];
      for (const each of answers) found.push((await each()).status);
      return found;
    };
    expect(await statuses(url, { content: 'hi' })).toEqual([204, 204, 429]);
    expect(await statuses('/api/hooks/x', { content: 'hi' })).toEqual([404, 404, 429]);
    // The same network can still use existing webhooks.
    const { url: another } = await create(ada, 'Another');
    expect((await post(another, { content: 'hi' }, { at: strict })).status).toBe(204);
  });
});

describe('an incoming webhook ends', () => {
  test('when an admin revokes it; its messages stay, and its bot leaves', async () => {
    const { url, incomingWebhook } = await create(ada, 'Ends');
    await post(url, { content: 'last words' });
    expect(await revoke(grace, incomingWebhook.id)).toMatchObject({ __typename: 'Forbidden' });
    expect(await revoke(linus, incomingWebhook.id)).toMatchObject({ __typename: 'NotFound' });
    expect(await revoke(ada, incomingWebhook.id)).toMatchObject({
      id: incomingWebhook.id,
      bot: { displayName: 'Ends' },
    });
    expect(await revoke(ada, incomingWebhook.id)).toMatchObject({ __typename: 'NotFound' });
    for (const at of [server, other]) expect((await post(url, { content: 'hi' }, { at })).status).toBe(404);
    expect(await newest()).toMatchObject({ content: 'last words', sender: { displayName: 'Ends' } });
    const { rows } = await server.sql.query('select revoked_at is null as live from api_keys where bot_id = $1', [
      keyOf(incomingWebhook.bot.id),
    ]);
    expect(rows).toEqual([{ live: false }]);
  });

  test('when its bot is removed, its key is revoked or its chat is deleted', async () => {
    const removed = await create(ada);
    await removePerson(ada, chatId, removed.incomingWebhook.bot.id);
    const withoutKey = await create(ada);
    await server.sql.query('update api_keys set revoked_at = clock_timestamp() where bot_id = $1', [
      keyOf(withoutKey.incomingWebhook.bot.id),
    ]);
    const doomed = await createGroup(ada, [grace]);
    const inDoomed = await create(ada, 'CI', doomed);
    expect((await post(inDoomed.url, { content: 'hi' })).status).toBe(204);
    await deleteChat(ada, doomed);
    for (const { url } of [removed, withoutKey, inDoomed])
      expect((await post(url, { content: 'hi' })).status).toBe(404);
  });

  test('alone: the others of the chat go on', async () => {
    const [first, second] = [await create(ada), await create(ada)];
    await revoke(ada, first.incomingWebhook.id);
    expect((await post(second.url, { content: 'still here' })).status).toBe(204);
  });
});

test('no one finds the bot of a webhook by its name, because the name may reveal a hidden chat', async () => {
  const { incomingWebhook } = await create(ada, 'Acquisition of Initech');
  const search = 'query ($search: String!) { users(search: $search) { edges { node { username } } } }';
  for (const name of ['Acquisition', incomingWebhook.bot.username]) {
    expect((await linus.ask(search, { search: name })).users.edges).toEqual([]);
  }
  await revoke(ada, incomingWebhook.id);
  expect((await linus.ask(search, { search: 'Acquisition' })).users.edges).toEqual([]);
});

test('a webhook is a node for those who may change the chat', async () => {
  const { incomingWebhook } = await create(ada);
  const look = async (by: Person) =>
    (await by.ask('query ($id: ID!) { node(id: $id) { __typename id } }', { id: incomingWebhook.id })).node;
  expect(await look(ada)).toEqual({ __typename: 'IncomingWebhook', id: incomingWebhook.id });
  expect([await look(grace), await look(linus)]).toEqual([null, null]);
});

test('a chat can have a bounded number of webhooks, however many requests there are at once', async () => {
  const full = await createGroup(ada, [grace]);
  const made = await Promise.all(Array.from({ length: maxIncomingWebhooks + 3 }, () => create(ada, 'CI', full)));
  expect(made.filter(({ __typename: type }) => type === 'CreatedIncomingWebhook')).toHaveLength(maxIncomingWebhooks);
  expect(made.find(({ __typename: type }) => type !== 'CreatedIncomingWebhook')).toMatchObject({
    fields: [{ path: ['chatId'], code: 'TOO_MANY' }],
  });
});

test('a token is not an API key, and never appears in the log', async () => {
  const { url } = await create(ada);
  const token = url.slice('/api/hooks/'.length);
  const { errors } = await server.post('{ viewer { user { id } } }', {}, { token });
  expect(errors?.[0]?.extensions).toMatchObject({ code: 'UNAUTHENTICATED' });
  await server.sql.query('alter table incoming_webhooks rename to hidden_webhooks');
  expect((await post(url, { content: 'hi' })).status).toBe(500);
  await server.sql.query('alter table hidden_webhooks rename to incoming_webhooks');
  expect(JSON.stringify(server.log)).toContain('incoming_webhook');
  expect(JSON.stringify(server.log)).not.toContain(token.slice('pwh_'.length));
});
