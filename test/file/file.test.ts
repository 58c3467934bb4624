import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { addMembers, createGroup, keyOf, say, sendMessage } from '../support/chat.ts';
import { ask, signUp, type Data, type Person } from '../support/client.ts';
import { countStored, download, fileFields, postGraphqlForm, readFileNode, upload } from '../support/file.ts';
import { deleteMessage, editMessage } from '../support/message.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { recordStatements } from '../support/statements.ts';
import { eventOf, followEvents, matching } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
let chatId: string;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  chatId = await createGroup(ada, [grace]);
});

const onOtherNode = (person: Person): Person => ({
  ...person,
  ask: (document, variables) => ask(otherNode.url, document, variables, person.token),
});

async function uploadMany(by: Person, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, index) => `${index}.txt`);
  const files = await Promise.all(names.map((name) => upload(server, by, `the content of ${name}`, name)));
  return files.map(({ id }) => id);
}

async function filesOf(by: Person, messageId: string): Promise<Data[]> {
  const document = `query ($id: ID!) { node(id: $id) { ... on Message { content files { ${fileFields} } } } }`;
  return (await by.ask(document, { id: messageId })).node.files;
}

const namesOf = (files: Data[]): string[] => files.map(({ name }) => name);

/** Returns the input paths that the error contains when the server refuses a message with these files. */
async function refusedAt(by: Person, fileIds: string[], content = 'hello'): Promise<string[]> {
  const outcome = await sendMessage(by, chatId, content, { fileIds });
  expect(outcome).toMatchObject({ __typename: 'InvalidInput' });
  return outcome.fields.map(({ path }: { path: string[] }) => path.join('.'));
}

test('a multipart request uploads a file', async () => {
  const { status, body } = await postGraphqlForm(server, ada);
  expect(status).toBe(200);
  expect(body).toEqual({
    data: {
      uploadFile: {
        __typename: 'File',
        id: expect.any(String),
        name: 'notes.txt',
        contentType: 'text/plain',
        size: 5,
        url: expect.any(String),
      },
    },
  });
  expect(await (await download(server, body.data.uploadFile.url)).text()).toBe('hello');
});

test('several uploads in one multipart request each get their file', async () => {
  const { body } = await postGraphqlForm(server, ada, {
    operations: {
      query: `mutation ($a: Upload!, $b: Upload!) {
        a: uploadFile(file: $a) { ... on File { name size } }
        b: uploadFile(file: $b) { ... on File { name size } }
      }`,
      variables: { a: null, b: null },
    },
    map: { x: ['variables.a'], y: ['variables.b'] },
    files: [
      ['y', { name: 'y.txt', content: 'yy' }],
      ['x', { name: 'x.txt', content: 'x' }],
    ],
  });
  expect(body).toEqual({ data: { a: { name: 'x.txt', size: 1 }, b: { name: 'y.txt', size: 2 } } });
});

test('a multipart request needs a header that a form can’t send', async () => {
  for (const name of ['x-graphql-yoga-csrf', 'apollo-require-preflight', 'graphql-require-preflight']) {
    expect((await postGraphqlForm(server, ada, { headers: { [name]: 'yes' } })).status).toBe(200);
  }
  const before = await countStored(server);
  const refused = await postGraphqlForm(server, ada, {
    headers: {},
    files: [['0', { name: 'forged.txt', content: 'forged' }]],
  });
  expect(refused.status).toBe(415);
  expect(refused.body.errors[0].extensions.code).toBe('BAD_REQUEST');
  expect(await countStored(server)).toEqual(before);
});

test.each<[string, Parameters<typeof postGraphqlForm>[2], number]>([
  ['without operations', { operations: null }, 400],
  ['without a map', { map: null }, 400],
  ['with operations that are not JSON', { operations: '{' }, 400],
  ['with a batch of operations', { operations: [{ query: '{ __typename }' }] }, 400],
  ['with a subscription', { operations: { query: 'subscription { events { cursor } }' }, map: {}, files: [] }, 400],
  ['with a map that is not JSON', { map: '[' }, 400],
  ['with a map that is a list', { map: [['variables.file']] }, 400],
  ['with a map to nowhere', { map: { 0: ['variables.other'] } }, 400],
  ['with a map into a prototype', { map: { 0: ['variables.__proto__.polluted'] } }, 400],
  ['with a map to the operation itself', { map: { 0: ['query'] } }, 400],
  ['with a file for two variables', { map: { 0: ['variables.file', 'variables.file'] } }, 400],
  ['with a file that is not in the map', { files: [['1', { name: 'a', content: 'a' }]] }, 400],
  ['without the file of the map', { files: [] }, 400],
])('a multipart request %s is refused, and leaves nothing behind', async (_, changes, status) => {
  const before = await countStored(server);
  const refused = await postGraphqlForm(server, ada, changes);
  expect(refused.status).toBe(status);
  expect(refused.body.errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  expect(await countStored(server)).toEqual(before);
});

test('an invalid operation gets the usual errors, and its file is not stored', async () => {
  const before = await countStored(server);
  const wrong = await postGraphqlForm(server, ada, {
    operations: { query: 'mutation ($file: Upload!) { nope(file: $file) }', variables: { file: null } },
  });
  expect(wrong.body.errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  const unused = await postGraphqlForm(server, ada, {
    operations: { query: '{ __typename }', variables: { file: null } },
  });
  expect(unused.body).toEqual({ data: { __typename: 'Query' } });
  expect(await countStored(server)).toEqual(before);
  const { errors } = await server.post(
    'mutation { uploadFile(file: "text") { __typename } }',
    {},
    { token: ada.token },
  );
  expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
});

test('uploading by GraphQL requires a signed-in user', async () => {
  const { status, body } = await postGraphqlForm(server, null);
  expect(status).toBe(401);
  expect(body.errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});

test('an empty file can be uploaded like any other, by form and by mutation', async () => {
  const { body } = await postGraphqlForm(server, ada, { files: [['0', { name: 'empty.txt', content: '' }]] });
  expect(body.data.uploadFile).toMatchObject({ __typename: 'File', name: 'empty.txt', size: 0 });
  const posted = await upload(server, ada, '', 'empty.txt');
  expect(posted).toMatchObject({ size: 0, contentType: 'text/plain' });
  for (const url of [body.data.uploadFile.url, posted.url]) {
    for (const range of ['bytes=0-', 'bytes=-5']) {
      const response = await download(server, url, { headers: { range } });
      expect([response.status, await response.text()]).toEqual([200, '']);
    }
  }
  const messageId = await say(ada, chatId, 'nothing', { fileIds: [posted.id] });
  expect(await filesOf(grace, messageId)).toMatchObject([{ id: posted.id, size: 0 }]);
  expect(await deleteMessage(ada, messageId)).toBeTruthy();
});

test('a message carries files in the given order, and may have no text', async () => {
  const fileIds = (await uploadMany(ada, 10)).toReversed();
  const message = await sendMessage(ada, chatId, ' \n', { fileIds });
  expect(message).toMatchObject({ __typename: 'Message', content: '' });
  const files = await filesOf(grace, message.id);
  expect(files.map(({ id }) => id)).toEqual(fileIds);
  expect(await (await download(server, files[0].url)).text()).toBe('the content of 9.txt');
  const bare = await say(ada, chatId, 'no files');
  expect(await filesOf(grace, bare)).toEqual([]);
});

test('each viewer gets their own link in NewMessage', async () => {
  const document = `subscription {
    events { cursor event { __typename ... on NewMessage { message { content files { name url } } } } }
  }`;
  const streams = await Promise.all([ada, grace].map((person) => followEvents(server, person, { document })));
  const { id } = await upload(server, ada, 'for both', 'both.txt');
  await say(ada, chatId, 'see this', { fileIds: [id] });
  const urls: string[] = [];
  for (const stream of streams) {
    const frames = await stream.until(matching({ __typename: 'NewMessage', message: { content: 'see this' } }));
    const [file] = frames.map(eventOf).at(-1).message.files;
    expect(await (await download(server, file.url)).text()).toBe('for both');
    urls.push(file.url);
    await stream.close();
  }
  expect(new Set(urls).size).toBe(2);
});

test('a message attaches all of its files, or none if one is missing, already attached or someone else’s', async () => {
  const [free = '', taken = ''] = await uploadMany(ada, 2);
  const [graces = ''] = await uploadMany(grace, 1);
  await say(ada, chatId, 'taken', { fileIds: [taken] });
  expect(await refusedAt(ada, [free, graces])).toEqual(['fileIds.1']);
  expect(await refusedAt(ada, [taken, free])).toEqual(['fileIds.0']);
  expect(await refusedAt(ada, [encodeId('File', 2n ** 62n)])).toEqual(['fileIds.0']);
  expect(await refusedAt(ada, [free, free])).toEqual(['fileIds.1']);
  for (const id of [chatId, 'nonsense', '']) expect(await refusedAt(ada, [id])).toEqual(['fileIds.0']);
  expect(await refusedAt(ada, [...(await uploadMany(ada, 10)), free])).toEqual(['fileIds']);
  expect(await refusedAt(ada, [], '')).toEqual(['content']);
  expect(await refusedAt(ada, [free], 'x'.repeat(10_001))).toEqual(['content']);
  expect(await sendMessage(ada, chatId, '', { fileIds: [free] })).toMatchObject({ __typename: 'Message' });
});

test('of several simultaneous messages that attach one file, on two nodes, one succeeds', async () => {
  for (let round = 0; round < 5; round += 1) {
    const [id = ''] = await uploadMany(ada, 1);
    const chats = await Promise.all([createGroup(ada, [grace]), createGroup(ada, [grace])]);
    const sent = await Promise.all(
      [...chats, ...chats].map((chat, index) =>
        sendMessage(index % 2 === 0 ? ada : onOtherNode(ada), chat, 'mine', { fileIds: [id] }),
      ),
    );
    expect(sent.filter(({ __typename }) => __typename === 'Message')).toHaveLength(1);
    expect(sent.filter(({ __typename }) => __typename === 'InvalidInput')).toHaveLength(3);
  }
});

test('the same clientMessageId with the same files returns the message; with other files it is a conflict', async () => {
  const [first = '', second = ''] = await uploadMany(ada, 2);
  const input = { fileIds: [first], clientMessageId: 'with-a-file' };
  const sent = await sendMessage(ada, chatId, '', input);
  expect(await sendMessage(ada, chatId, '', input)).toEqual(sent);
  expect(await sendMessage(onOtherNode(ada), chatId, '', input)).toEqual(sent);
  for (const fileIds of [[second], [first, second], []]) {
    const other = await sendMessage(ada, chatId, 'x', { ...input, fileIds });
    expect(other).toMatchObject({ __typename: 'Conflict' });
  }
  expect(await sendMessage(ada, chatId, '', { fileIds: [second] })).toMatchObject({ __typename: 'Message' });
});

test('a message with only a file can be given text later', async () => {
  const [id = ''] = await uploadMany(ada, 1);
  const { id: messageId } = await sendMessage(ada, chatId, '', { fileIds: [id] });
  expect(await editMessage(ada, messageId, 'a caption')).toMatchObject({
    content: 'a caption',
    revisions: [{ content: '' }],
  });
  expect(await filesOf(grace, messageId)).toHaveLength(1);
});

test('a deleted message has no files', async () => {
  const [id = ''] = await uploadMany(ada, 1);
  const messageId = await say(ada, chatId, 'with a file', { fileIds: [id] });
  expect(await readFileNode(grace, id)).not.toBeNull();
  await deleteMessage(ada, messageId);
  expect(await filesOf(grace, messageId)).toEqual([]);
  expect(await readFileNode(ada, id)).toBeNull();
});

test('a chat lists the files that the viewer can see, page by page', async () => {
  const chat = await createGroup(ada, [grace]);
  const ids = await uploadMany(ada, 5);
  await say(ada, chat, 'one', { fileIds: ids.slice(0, 2) });
  await say(ada, chat, 'none');
  await say(ada, chat, 'two', { fileIds: ids.slice(2, 5) });
  const list = async (by: Person, args: string) => {
    const document = `query ($id: ID!) {
      chat(id: $id) { files${args} { edges { node { name } } pageInfo { hasNextPage endCursor startCursor } } }
    }`;
    const { edges, pageInfo } = (await by.ask(document, { id: chat })).chat.files;
    return { names: namesOf(edges.map(({ node }: Data) => node)), ...pageInfo };
  };
  expect((await list(grace, '')).names).toEqual(['0.txt', '1.txt', '2.txt', '3.txt', '4.txt']);
  const first = await list(grace, '(first: 3)');
  expect(first).toMatchObject({ names: ['0.txt', '1.txt', '2.txt'], hasNextPage: true });
  const rest = await list(grace, `(first: 3, after: "${first.endCursor}")`);
  expect(rest).toMatchObject({ names: ['3.txt', '4.txt'], hasNextPage: false });
  const last = await list(grace, '(last: 2)');
  expect(last.names).toEqual(['3.txt', '4.txt']);
  expect((await list(grace, `(last: 2, before: "${last.startCursor}")`)).names).toEqual(['1.txt', '2.txt']);
  const linus = await signUp(server, 'linus');
  await addMembers(server, chat, [linus], 2);
  expect((await list(linus, '')).names).toEqual(['2.txt', '3.txt', '4.txt']);
});

test('files cost no statement for a message without files, and one for a page of messages with files', async () => {
  const chat = await createGroup(ada, [grace]);
  const send = (fileIds?: string[]) => () => sendMessage(ada, chat, 'hello', fileIds === undefined ? {} : { fileIds });
  const bare = await recordStatements(server, send());
  expect(bare.filter((statement) => /\bfiles\b/.test(statement))).toEqual([]);
  const [id = ''] = await uploadMany(ada, 1);
  const laden = await recordStatements(server, send([id]));
  expect(laden.length).toBe(bare.length + 2);
  for (const each of await uploadMany(ada, 5)) await say(ada, chat, 'x', { fileIds: [each] });
  const document = `query ($id: ID!) { chat(id: $id) { messages { edges { node { files { ${fileFields} } } } } } }`;
  const read = await recordStatements(server, () => grace.ask(document, { id: chat }));
  expect(read.filter((statement) => /\bfiles\b/.test(statement))).toHaveLength(1);
});

test('the database ties a file to one message of its uploader, whichever client writes it', async () => {
  const [mine = '', free = ''] = await uploadMany(ada, 2);
  const messageId = await say(ada, chatId, 'first', { fileIds: [mine] });
  const other = await say(ada, chatId, 'second');
  const graces = await say(grace, chatId, 'third', { fileIds: await uploadMany(grace, 1) });
  const attach = (file: string, message: string, place = 0) =>
    server.sql.query('update files set message_id = $2, place = $3 where id = $1', [
      keyOf(file),
      keyOf(message),
      place,
    ]);
  await expect(attach(mine, other)).rejects.toThrow('a file cannot be moved to another message');
  await expect(attach(free, other)).rejects.toThrow('as many as it was sent with');
  await expect(attach(free, graces)).rejects.toThrow('files of its sender');
  await expect(attach(free, messageId)).rejects.toThrow('files_message_id_place_key');
  await expect(
    server.sql.query('update files set uploader_id = $2 where id = $1', [keyOf(free), keyOf(grace.userId)]),
  ).rejects.toThrow('the blob and the uploader of a file cannot be changed');
});
