import { GraphQLEnumType } from 'graphql';
import { expect, test } from 'vitest';
import { schema } from '../../src/edges.ts';
import { fieldErrorCodes, Forbidden } from '../../src/errors.ts';
import { createGroup } from '../support/chat.ts';
import { signUp, type Data } from '../support/client.ts';
import { sharedServer } from '../support/shared-server.ts';

const server = await sharedServer();
const ada = await signUp(server, 'ada');
const grace = await signUp(server, 'grace');
const groupId = await createGroup(ada, [grace]);

const error = '__typename ... on Error { message } ... on InvalidInput { fields { path code } }';

/** Returns the path and the code of the only field that is refused. */
async function refusedField(outcome: Promise<Data>): Promise<[string, string]> {
  const { __typename, fields } = (await outcome).outcome;
  expect({ __typename, fields }).toMatchObject({ __typename: 'InvalidInput', fields: [{}] });
  return [fields[0].path.join('.'), fields[0].code];
}

const send = (input: object) =>
  ada.ask(`mutation ($input: SendMessageInput!) { outcome: sendMessage(input: $input) { ${error} } }`, {
    input: { chatId: groupId, content: 'hello', ...input },
  });
const signUpWith = (input: object) =>
  server.ask(
    `mutation ($input: SignUpInput!) { outcome: signUp(input: $input) { ${error} ... on Conflict { taken: fields } } }`,
    { input: { username: 'linus', email: 'linus@example.com', password: 'wrote a kernel in 1991', ...input } },
  );

test('each refused field carries a machine-readable code', async () => {
  const unknownId = Buffer.from('Message:4711').toString('base64url');
  expect(await refusedField(send({ content: '  ' }))).toEqual(['content', 'REQUIRED']);
  expect(await refusedField(send({ content: 'x'.repeat(10_001) }))).toEqual(['content', 'TOO_LONG']);
  expect(await refusedField(send({ content: 'a\u0007b' }))).toEqual(['content', 'MALFORMED']);
  expect(await refusedField(send({ chatId: 'nonsense' }))).toEqual(['chatId', 'MALFORMED']);
  expect(await refusedField(send({ replyToId: unknownId }))).toEqual(['replyToId', 'NOT_FOUND']);
  const fileId = Buffer.from('File:4711').toString('base64url');
  expect(await refusedField(send({ fileIds: [fileId] }))).toEqual(['fileIds.0', 'NOT_FOUND']);
  expect(await refusedField(send({ fileIds: [fileId, fileId] }))).toEqual(['fileIds.1', 'DUPLICATE']);
  expect(
    await refusedField(
      send({ fileIds: Array.from({ length: 11 }, (_, i) => Buffer.from(`File:${i}`).toString('base64url')) }),
    ),
  ).toEqual(['fileIds', 'TOO_MANY']);
  expect(await refusedField(signUpWith({ password: 'short' }))).toEqual(['password', 'TOO_SHORT']);
  expect(await refusedField(signUpWith({ password: 'linus@example.com' }))).toEqual(['password', 'NOT_ALLOWED']);
});

test('a username that is empty, too long or malformed gets the code that says so', async () => {
  expect(await refusedField(signUpWith({ username: '' }))).toEqual(['username', 'REQUIRED']);
  expect(await refusedField(signUpWith({ username: 'l'.repeat(65) }))).toEqual(['username', 'TOO_LONG']);
  expect(await refusedField(signUpWith({ username: 'l i' }))).toEqual(['username', 'MALFORMED']);
});

test('a Conflict names the fields that are taken', async () => {
  const conflict = (fields: string[]) => ({ outcome: { __typename: 'Conflict', taken: fields } });
  expect(await signUpWith({ username: 'Ada' })).toMatchObject(conflict(['username']));
  expect(await signUpWith({ email: 'ADA@example.com' })).toMatchObject(conflict(['email']));
  expect(await signUpWith({ username: 'ada', email: 'grace@example.com' })).toMatchObject(
    conflict(['username', 'email']),
  );
});

test('Forbidden says until when it applies and why; both are null if there is no end or reason', async () => {
  const { outcome } = await grace.ask(
    `mutation ($chatId: ID!) { outcome: deleteChat(chatId: $chatId) { ... on Forbidden { code until reason } } }`,
    { chatId: groupId },
  );
  expect(outcome).toEqual({ code: 'FORBIDDEN', until: null, reason: null });
  const until = new Date('2027-01-01T00:00:00Z');
  expect(new Forbidden('You are muted.', { until, reason: 'Spam.' })).toMatchObject({ until, reason: 'Spam.' });
});

test('the schema lists exactly the codes that the rules use', () => {
  const type = schema.getType('FieldErrorCode');
  const values = type instanceof GraphQLEnumType ? type.getValues().map(({ name }) => name) : [];
  expect(values.toSorted()).toEqual([...fieldErrorCodes].toSorted());
});
