import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { randomBytes } from 'node:crypto';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { insertProgram } from '../support/api-key.ts';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUpAll, type Data } from '../support/client.ts';
import { awaitIndex } from '../support/search.ts';
import { startServer } from '../support/server.ts';

const server = await startServer({ env: { CORS_ORIGIN: 'https://chat.example.com' } });
const other = await startServer({ database: server.database });
const [ada, grace] = await signUpAll(server, 'ada', 'grace');
let chatId = '';
beforeAll(async () => void (chatId = await createGroup(ada, [grace], 'the team')));

/** Connects the SDK's client, with a bearer token. */
async function connect(
  token: string,
  { at = server, headers = {} }: { at?: { url: string }; headers?: Record<string, string> } = {},
) {
  const client = new Client({ name: 'test', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL(`${at.url}/mcp`), {
    requestInit: { headers: { authorization: `Bearer ${token}`, ...headers } },
  });
  await client.connect(transport);
  onTestFinished(() => client.close());
  const call = async (name: string, args: Record<string, unknown> = {}) => {
    const { content, isError = false } = await client.callTool({ name, arguments: args });
    const text = (content as Data)[0].text as string;
    return { isError, text, data: text.startsWith('{') ? JSON.parse(text) : null };
  };
  return { client, call };
}

/** Creates a key with these scopes: either the key of a bot that is a member of the chat, or a server key. */
async function createKey(scopes: string[], { ofBot }: { ofBot: boolean }): Promise<string> {
  if (!ofBot) return (await insertProgram(server, scopes)).token;
  const name = `bot_${randomBytes(4).toString('hex')}`;
  const { rows } = await server.sql.query(`insert into users (username, kind) values ($1, 'BOT') returning id`, [name]);
  await server.sql.query('insert into members (chat_id, user_id) values ($1, $2)', [keyOf(chatId), rows[0].id]);
  return (await insertProgram(server, scopes, { botId: String(rows[0].id) })).token;
}

test('lists tools whose arguments match the variables of their documents', async () => {
  const { client } = await connect(ada.token);
  expect(client.getServerVersion()).toMatchObject({ name: 'parley' });
  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).toEqual([
    ...['list_chats', 'read_messages', 'search_messages', 'list_members', 'find_users'],
    ...['send_message', 'add_reaction', 'remove_reaction'],
  ]);
  expect(tools.find(({ name }) => name === 'send_message')).toMatchObject({
    inputSchema: { required: ['chatId', 'content'], properties: { chatId: { type: 'string' } } },
    annotations: { readOnlyHint: false },
  });
  expect(tools.find(({ name }) => name === 'list_chats')).toMatchObject({
    inputSchema: { required: [], properties: { first: { type: 'integer' } } },
    annotations: { readOnlyHint: true },
  });
});

test('a bot reads, searches, sends and reacts, with its own rights', async () => {
  const { call } = await connect(await createKey([], { ofBot: true }));
  const messageId = await say(ada, chatId, 'the moonlight sonata');
  expect((await call('list_chats')).data.viewer.chats.edges[0].node).toMatchObject({ id: chatId, name: 'the team' });
  const read = await call('read_messages', { chatId, last: 1 });
  expect(read.data.chat.messages.edges[0].node).toMatchObject({ id: messageId, content: 'the moonlight sonata' });
  await awaitIndex(server);
  const found = await call('search_messages', { query: 'moonlight' });
  expect(found.data.searchMessages.edges).toHaveLength(1);
  expect((await call('list_members', { chatId })).data.chat.members.edges).toHaveLength(3);
  expect((await call('find_users', { search: 'gra' })).data.users.edges[0].node.username).toBe('grace');
  const sent = await call('send_message', { chatId, content: 'I heard it', replyToId: messageId });
  expect(sent.data.sendMessage).toMatchObject({ content: 'I heard it', replyTo: { id: messageId } });
  expect((await call('add_reaction', { messageId, emoji: '🌙' })).data.addReaction.reactions).toMatchObject([
    { count: 1 },
  ]);
  expect((await call('remove_reaction', { messageId, emoji: '🌙' })).data.removeReaction.reactions).toEqual([]);

  const hidden = await createGroup(ada, [grace], 'without the bot');
  expect((await call('read_messages', { chatId: hidden })).data).toEqual({ chat: null });
  expect(await call('send_message', { chatId: hidden, content: 'hi' })).toMatchObject({
    isError: true,
    data: { sendMessage: { __typename: 'NotFound' } },
  });
});

test('arguments that do not fit are errors of the tool, and an unknown tool is one of the protocol', async () => {
  const { client, call } = await connect(ada.token);
  expect(await call('send_message', { chatId })).toMatchObject({
    isError: true,
    text: expect.stringContaining('content'),
  });
  expect(await call('read_messages', { chatId: 'nonsense' })).toMatchObject({ isError: true });
  expect(await call('list_chats', { first: 100_000 })).toMatchObject({ isError: true });
  await expect(client.callTool({ name: 'delete_everything' })).rejects.toThrow('There is no such tool');
});

test('a program acts as a user, on any node, and every request stands alone', async () => {
  const key = await createKey(['ACT_AS', 'CHATS_READ', 'USERS_READ'], { ofBot: false });
  const headers = { 'parley-act-as': grace.userId };
  const [here, there] = [await connect(key, { headers }), await connect(key, { headers, at: other })];
  for (const { call } of [here, there]) {
    expect((await call('list_chats')).data.viewer.chats.edges.length).toBeGreaterThan(0);
    // The key lacks MESSAGES_WRITE.
    expect(await call('send_message', { chatId, content: 'hi' })).toMatchObject({ isError: true });
  }
});

const request = (init: RequestInit & { headers?: Record<string, string> } = {}) =>
  fetch(`${server.url}/mcp`, {
    method: 'POST',
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
    ...init,
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${ada.token}`,
      ...init.headers,
    },
  });

test('refuses requests without a user', async () => {
  expect((await request()).status).toBe(200);
  const anonymous = await request({ headers: { authorization: '' } });
  expect([anonymous.status, anonymous.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  expect((await request({ headers: { authorization: 'Bearer nonsense' } })).status).toBe(401);
  const key = await createKey(['MESSAGES_READ', 'CHATS_READ'], { ofBot: false });
  const refused = await request({ headers: { authorization: `Bearer ${key}` } });
  expect([refused.status, await refused.text()]).toEqual([403, expect.stringContaining('parley-act-as')]);
});

test('runs one tool in each request', async () => {
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'list_chats', arguments: {} } };
  expect((await request({ body: JSON.stringify(call) })).status).toBe(200);
  const refused = await request({ body: JSON.stringify([call, { ...call, id: 2 }]) });
  expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining('one message')]);
});

test('refuses pages of other origins, other methods, and bodies that it cannot read', async () => {
  expect((await request({ headers: { origin: 'https://chat.example.com' } })).status).toBe(200);
  expect((await request({ headers: { origin: 'https://evil.example.com' } })).status).toBe(403);
  for (const method of ['GET', 'DELETE', 'PUT']) {
    const answer = await request(method === 'GET' ? { method, body: null } : { method });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
  }
  expect((await request({ body: '{' })).status).toBe(400);
  expect((await request({ body: '{}' })).status).toBe(400);
  expect((await request({ body: JSON.stringify({ text: 'x'.repeat(300_000) }) })).status).toBe(413);
  expect((await request({ headers: { 'content-type': 'text/plain' } })).status).toBe(415);
  expect((await request({ headers: { accept: 'text/html' } })).status).toBe(406);
});
