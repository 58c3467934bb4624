import { isObjectType } from 'graphql';
import { beforeAll, expect, test } from 'vitest';
import { rootAccess, typeAccess, type Access } from '../../src/api/scope-table.ts';
import { scopes, type Scope } from '../../src/core/scope.ts';
import { schema } from '../../src/edges.ts';
import { createGroup, say } from '../support/chat.ts';
import { signUpAll, type Answer, type Data, type Person } from '../support/client.ts';
import { createBot, createProgram, type Program } from '../support/api-key.ts';
import { postGraphqlForm } from '../support/file.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { setRoleWithSql } from '../support/staff.ts';
import { eventsDocument, followEvents, openStream } from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
/**
 * For each scope, there are two programs that act as Grace. The key of the first program has all scopes except this
 * one, and the key of the second program has only ACT_AS and this scope.
 */
const without = new Map<Scope, Program>();
const withOnly = new Map<Scope, Program>();
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await signUpAll(server, 'ada', 'grace');
  await setRoleWithSql(server, ada, 'ADMIN');
  for (const scope of scopes) {
    const others = scopes.filter((each) => each !== scope);
    without.set(scope, await createProgram(server, ada, others));
    withOnly.set(scope, await createProgram(server, ada, [...new Set([scope, 'ACT_AS'])]));
  }
});

/** Returns a document that uses one root field with valid arguments, and selects nothing that needs a scope. */
function documentOf(root: 'Query' | 'Mutation', name: string): string {
  // Without a chat, the mutation would change the user's own avatar, which needs USERS_WRITE.
  if (name === 'setAvatar')
    return 'mutation { outcome: setAvatar(chatId: "x") { __typename ... on Error { code message } } }';
  const type = schema.getType(root);
  const field = isObjectType(type) ? type.getFields()[name] : undefined;
  const values = (field?.args ?? [])
    .filter(({ type: argument }) => String(argument).endsWith('!'))
    .map((argument) => `${argument.name}: ${sampleOf(String(argument.type))}`);
  const args = values.length === 0 ? '' : `(${values.join(', ')})`;
  const leaf = /^(Boolean|String)!?$/.test(String(field?.type));
  const more = root === 'Mutation' ? ' ... on Error { code message }' : '';
  return `${root.toLowerCase()} { outcome: ${name}${args} ${leaf ? '' : `{ __typename${more} }`} }`;
}

const samples: Record<string, string> = {
  ID: '"VXNlcjo5OTk5OTk"',
  String: '"x"',
  Int: '1',
  Boolean: 'true',
  Upload: 'null',
  DateTime: '"2100-01-01T00:00:00Z"',
  JSON: '{}',
};

function sampleOf(name: string): string {
  if (name.startsWith('[')) return '[]';
  const bare = name.replace(/!$/, '');
  const known = samples[bare];
  if (known !== undefined) return known;
  const type = schema.getType(bare);
  if (type !== undefined && 'getValues' in type) return type.getValues()[0]?.name ?? 'null';
  if (type === undefined || !('getFields' in type) || isObjectType(type)) return 'null';
  const fields = Object.values(type.getFields()).filter((field) => String(field.type).endsWith('!'));
  return `{ ${fields.map((field) => `${field.name}: ${sampleOf(String(field.type))}`).join(', ')} }`;
}

/** Returns why a program was refused because of its scopes, or null if it was not refused. */
function refusalIn({ data, errors }: Answer): string | null {
  const outcome: Data = data?.outcome ?? null;
  const messages = [
    outcome?.code === 'FORBIDDEN' ? outcome.message : '',
    ...(errors ?? []).map(({ message }) => message),
  ];
  return messages.find((message) => /lacks the scope|not a program|while it acts/.test(message)) ?? null;
}

const fields = (['Query', 'Mutation'] as const).flatMap((root) => {
  const type = schema.getType(root);
  return isObjectType(type) ? Object.keys(type.getFields()).map((name) => [root, name] as const) : [];
});

test('the tables name every root field and every type', () => {
  for (const [root, name] of fields) expect(rootAccess[root], name).toHaveProperty(name);
  const subscriptions = schema.getSubscriptionType()?.getFields() ?? {};
  for (const name of Object.keys(subscriptions)) expect(rootAccess.Subscription, name).toHaveProperty(name);
  const types = Object.values(schema.getTypeMap()).filter(isObjectType);
  expect(types.length).toBeGreaterThan(60);
});

/** Which program uses a field, and why it is refused, or null if it is not refused. */
type Case = { program: Program | undefined; isActing: boolean; refusal: string | null };

/**
 * Returns the cases to test for a field. As the table specifies, either any one of its scopes suffices or all of them
 * are needed. Without the required scopes, the field is refused.
 */
function casesOf(access: Access): Case[] {
  if (access === 'ANYONE') return [{ program: withOnly.get('ACT_AS'), isActing: true, refusal: null }];
  if (access === 'DEVICE') return [{ program: without.get('WEBHOOKS'), isActing: true, refusal: 'not a program' }];
  const needed = 'any' in access ? access.any : access.all;
  const isActing = access.isNeverActing !== true;
  const whileActing = { program: without.get('WEBHOOKS'), isActing: true, refusal: 'while it acts' };
  return [
    ...(isActing ? [] : [whileActing]),
    ...needed.map((scope) => ({ program: withOnly.get(scope), isActing, refusal: null })),
    // Without ACT_AS, every request of a program that acts as a user is refused.
    ...(needed.length > 1 ? [] : needed.map((scope) => ({ program: without.get(scope), isActing, refusal: scope }))),
  ];
}

// Uploads are multipart requests, which are tested below.
test.each(fields.filter(([, name]) => name !== 'uploadFile'))(
  '%s.%s is refused to programs without its scope, and only to them',
  async (root, name) => {
    const cases = casesOf(rootAccess[root][name] ?? 'DEVICE');
    const document = documentOf(root, name);
    const refusals = await Promise.all(
      cases.map(async ({ program, isActing }) =>
        refusalIn((await (isActing ? program?.as(grace.userId) : program)?.post(document)) as Answer),
      ),
    );
    const named = refusals.map((refusal, index) => {
      const expected = cases[index]?.refusal ?? null;
      return expected !== null && refusal?.includes(expected) === true ? expected : refusal;
    });
    expect(named).toEqual(cases.map(({ refusal }) => refusal));
  },
);

test('what a program selects needs scopes too, however deep it is', async () => {
  const chat = await createGroup(grace, [ada]);
  const id = await say(grace, chat, 'Secret');
  const chats = withOnly.get('CHATS_READ')?.as(grace.userId);
  const variables = { id: chat, message: id };
  const read = (selection: string) =>
    chats?.post(`query ($id: ID!) { chat(id: $id) { ${selection} } }`, variables) as Promise<Answer>;
  expect((await read('name lastSeq')).errors).toBeUndefined();
  for (const selection of [
    'messages { edges { node { content } } }',
    '... on Node { ... on Chat { ...Deep } } } } fragment Deep on Chat { pinnedMessages { content',
    'members { edges { node { user { username } } } }',
  ]) {
    const { data, errors } = await read(selection);
    expect(data).toBeUndefined();
    expect(errors, selection).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
  }
  const node = await chats?.post(
    'query ($message: ID!) { node(id: $message) { id ... on Message { content } } }',
    variables,
  );
  expect(node?.errors?.[0]?.message).toContain('MESSAGES_READ');
});

test('fragments that spread each other twice are looked at once', async () => {
  // Without its variable, the complexity of the operation cannot be measured, so the operation is not refused because
  // of its size.
  const doublings = Array.from({ length: 40 }, (_, at) => `fragment F${at + 1} on Query { ...F${at} ...F${at} }`);
  const answer = await without.get('MODERATE')?.post(
    `query ($first: Int!) { ...F40 } ${doublings.join(' ')}
    fragment F0 on Query { users(search: "a", first: $first) { edges { cursor } } }`,
  );
  expect(answer?.errors?.[0]?.message).toContain('$first');
});

test('a program without MESSAGES_READ learns the id of what it writes, and nothing else', async () => {
  const chat = await createGroup(grace, [ada]);
  const writer = withOnly.get('MESSAGES_WRITE')?.as(grace.userId);
  const write = (selection: string) =>
    writer?.post(
      `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename ... on Message { ${selection} } } }`,
      { input: { chatId: chat, content: 'Hello' } },
    ) as Promise<Answer>;
  expect((await write('id')).data.sendMessage).toMatchObject({ __typename: 'Message', id: expect.any(String) });
  expect((await write('content')).errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
});

test('a stream needs the scopes of what it shows', async () => {
  const headers = { 'parley-act-as': grace.userId };
  for (const scope of ['CHATS_READ', 'MESSAGES_READ'] as const) {
    const program = without.get(scope) as Program;
    await using stream = await openStream(server, program, eventsDocument, { headers });
    const [frame] = await stream.until(({ data }) => data?.errors !== undefined);
    expect(frame?.data.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
    expect(frame?.data.errors[0].message).toContain(scope);
  }
  await using stream = await followEvents(server, without.get('WEBHOOKS') as Program, { headers });
  expect(stream.end).toBeNull();
});

test('files need MESSAGES_WRITE, whichever way they arrive', async () => {
  const send = (program: Program | undefined, path: string) => {
    const form = new FormData();
    form.append('file', new Blob(['hello']), 'hello.txt');
    const headers = { authorization: `Bearer ${program?.token}`, 'parley-act-as': grace.userId };
    return path === '/api/upload'
      ? fetch(server.url + path, { method: 'POST', headers, body: form })
      : fetch(server.url + path, {
          method: 'POST',
          headers: { ...headers, 'tus-resumable': '1.0.0', 'upload-length': '5' },
        });
  };
  for (const path of ['/api/upload', '/api/upload/tus']) {
    expect((await send(without.get('MESSAGES_WRITE'), path)).status, path).toBe(403);
    expect((await send(withOnly.get('MESSAGES_WRITE'), path)).status, path).toBe(201);
  }
  const byGraphql = (scope: 'without' | 'with') => {
    const program = without.get(scope === 'with' ? 'WEBHOOKS' : 'MESSAGES_WRITE') as Program;
    return postGraphqlForm(server, program, {
      headers: { 'graphql-require-preflight': '1', 'parley-act-as': grace.userId },
    });
  };
  expect((await byGraphql('without')).body).toMatchObject({ errors: [{ extensions: { code: 'FORBIDDEN' } }] });
  expect((await byGraphql('with')).body.data).toMatchObject({ uploadFile: { __typename: 'File' } });
});

test('a bot is a member without any scope, and needs them for what concerns the server', async () => {
  const bot = await createBot(server, ada, { username: 'robot' });
  expect(
    (await bot.ask('{ viewer { chats { edges { cursor } } } users(search: "gr") { edges { node { username } } } }'))
      .users.edges,
  ).toHaveLength(1);
  const profile = 'mutation { updateProfile(input: { displayName: "Robot" }) { __typename } }';
  expect((await bot.ask(profile)).updateProfile.__typename).toBe('User');
  for (const document of ['{ admin { users { edges { cursor } } } }', 'mutation { streamToken }']) {
    expect((await bot.post(document)).errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
  }
  expect(typeAccess['Message']).toEqual({ any: ['MESSAGES_READ'] });
});
