import { expect, test } from 'vitest';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { openProxy } from '../support/proxy.ts';
import { awaitIndex } from '../support/search.ts';
import { startServer } from '../support/server.ts';
import { onNode } from '../support/message.ts';

const server = await startServer();

/** Creates two users in a group, and a node that lets a test act between its statements. */
async function startBetween() {
  const proxy = await openProxy(server.database.url);
  const url = new URL(proxy.through(server.database.url));
  // PostgreSQL sends a notice before it has executed the statement, so the proxy would mistake the notice for the
  // answer.
  url.searchParams.set('options', '-c client_min_messages=warning');
  const env = { DATABASE_URL: url.href, DATABASE_DIRECT_URL: url.href };
  const node = await startServer({ database: server.database, env });
  const name = () => `p${Math.random().toString(36).slice(2)}`;
  const [ada, grace] = [await signUp(server, name()), await signUp(server, name())];
  const chat = await createGroup(ada, [grace]);
  await say(grace, chat, 'hello');
  const post: Person['post'] = (document, variables) => node.post(document, variables, { token: ada.token });
  return { node, proxy, ada: { ...onNode(node, ada), post }, grace, chat };
}

test('a user who is deleted after the members were read is listed with their name, and the others stay', async () => {
  const { node, proxy, ada, grace, chat } = await startBetween();
  const members = proxy.hold('members_asc');
  const answer = ada.ask(
    'query ($id: ID!) { chat(id: $id) { members { edges { node { user { id username presence { status } } } } } } }',
    { id: chat },
  );
  await members.caught;
  await server.sql.query('delete from users where id = $1', [keyOf(grace.userId)]);
  members.release();
  const { edges } = (await answer).chat.members;
  expect(edges).toMatchObject([
    { node: { user: { id: ada.userId, username: ada.name } } },
    { node: { user: { id: grace.userId, username: grace.name, presence: null } } },
  ]);
  expect(node.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('a user who is deleted before their name is read has a placeholder name', async () => {
  const { node, proxy, ada } = await startBetween();
  const chats = proxy.hold('chats_desc');
  const answer = ada.ask(
    '{ viewer { chats(first: 1) { edges { node { viewerMembership { user { id username } } } } } } }',
  );
  await chats.caught;
  await server.sql.query('delete from users where id = $1', [keyOf(ada.userId)]);
  chats.release();
  const { edges } = (await answer).viewer.chats;
  expect(edges).toMatchObject([
    { node: { viewerMembership: { user: { id: ada.userId, username: `erased_${keyOf(ada.userId)}` } } } },
  ]);
  expect(node.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test.each([
  ['its history', 'messages(first: 2) { edges { node { content chat { name } } } }', 'messages_asc'],
  [
    'the part of it around a message',
    'messagesAround(seq: 1, countBefore: 1, countAfter: 1) { edges { node { content chat { name } } } }',
    'messages_asc',
  ],
])('a chat that is deleted while %s is read does not affect other chats', async (_, field, statement) => {
  const { node, proxy, ada, grace, chat } = await startBetween();
  const other = await createGroup(ada, [grace], 'the one that stays');
  await say(grace, other, 'still here');
  const messages = proxy.hold(statement);
  const answer = ada.post(`{ viewer { chats(first: 10) { edges { node { id list: ${field} } } } } }`);
  await messages.caught;
  await server.sql.query('delete from chats where id = $1', [keyOf(chat)]);
  messages.release();
  const { errors, data } = await answer;
  expect(errors).toBeUndefined();
  const { edges } = data.viewer.chats;
  expect(edges).toContainEqual({
    node: {
      id: other,
      list: { edges: [{ node: { content: 'still here', chat: { name: 'the one that stays' } } }] },
    },
  });
  expect(node.log.filter(({ msg }) => msg === 'an operation failed')).toEqual([]);
});

test('a chat that is deleted while others search does not affect results from other chats', async () => {
  const { node, proxy, ada, grace, chat } = await startBetween();
  const other = await createGroup(grace, [ada], 'the one that stays');
  await say(grace, other, 'hello again');
  await awaitIndex(node);
  const searching = proxy.hold('where m.id = any ($1) and m.deleted_at is null and m.seq >=');
  const answer = ada.post(`{
    searchMessages(query: "hello", first: 5) {
      edges {
        node {
          content sender { username } replyTo { id } reactions { count } files { id } revisions { version }
          mentions { isEveryone }
          chat {
            name viewerMembership { role } members(first: 5) { edges { node { role } } } pinnedMessages { id }
            messages(last: 5) { edges { node { content } } } files(last: 5) { edges { node { id } } }
            readBy(seq: 1, first: 5) { edges { node { role } } }
          }
        }
      }
    }
  }`);
  await searching.caught;
  await server.sql.query('delete from chats where id = $1', [keyOf(chat)]);
  searching.release();
  const { errors, data } = await answer;
  expect(errors).toBe(undefined);
  const sender = { username: grace.name };
  expect(data.searchMessages.edges).toMatchObject([
    { node: { content: 'hello again', sender, chat: { name: 'the one that stays', members: { edges: [{}, {}] } } } },
    { node: { content: 'hello', sender, chat: { name: 'a group', members: { edges: [] } } } },
  ]);
  expect(node.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('a user who is blocked while their account is deleted is not found', async () => {
  const { node, proxy, ada, grace } = await startBetween();
  const looking = proxy.hold('insert into blocks');
  const answer = ada.post('mutation ($userId: ID!) { blockUser(userId: $userId) { __typename } }', {
    userId: grace.userId,
  });
  await looking.caught;
  await server.sql.query('delete from users where id = $1', [keyOf(grace.userId)]);
  looking.release();
  const { errors, data } = await answer;
  expect(errors ?? []).toEqual([]);
  expect(data.blockUser.__typename).toBe('NotFound');
  expect(node.log.filter(({ msg }) => msg === 'an operation failed')).toEqual([]);
});

test('a user who erases their account on another node can leave nothing new behind, and gets an error', async () => {
  const { node, ada, grace } = await startBetween();
  // For a short time, this node relies on its cached session.
  expect(await ada.ask('{ viewer { id } }')).toMatchObject({ viewer: {} });
  await server.sql.query('delete from users where id = $1', [keyOf(ada.userId)]);
  const answers = await Promise.all([
    ada.post('mutation ($id: ID!) { outcome: blockUser(userId: $id) { ... on Error { code } } }', { id: grace.userId }),
    ada.post(
      'mutation { outcome: createChat(input: { type: PRIVATE_CHANNEL, name: "mine" }) { ... on Error { code } } }',
    ),
    ada.post('mutation { outcome: updateProfile(input: { displayName: "nobody" }) { ... on Error { code } } }'),
  ]);
  for (const { errors, data } of answers) {
    const code = errors?.[0]?.extensions?.['code'] ?? data?.outcome.code;
    expect(['NOT_FOUND', 'UNAUTHENTICATED']).toContain(code);
  }
  expect(node.log.filter(({ msg }) => msg === 'an operation failed')).toEqual([]);
});
