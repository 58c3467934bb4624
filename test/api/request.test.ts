import { expect, test } from 'vitest';
import { requestLimits } from '../../src/api/request.ts';
import { signUp } from '../support/client.ts';
import { sharedServer } from '../support/shared-server.ts';

const server = await sharedServer();
const ada = await signUp(server, 'ada');
const countRows = async () => {
  const { rows } = await server.sql.query(
    'select (select count(*) from users) + (select count(*) from chats) + (select count(*) from messages) as count',
  );
  return Number(rows[0].count);
};

/** Sends a body unchanged, so that a test can send an invalid one. */
async function send(body: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
    body,
  });
  return { status: response.status, body: await response.text() };
}

function refusal(body: string): { code: string; message: string } {
  const { data, errors } = JSON.parse(body);
  expect(data).toBe(undefined);
  expect(errors).toHaveLength(1);
  return { code: errors[0].extensions.code, message: errors[0].message };
}

test('a body that is not JSON is refused, whatever is wrong with it', async () => {
  for (const body of ['', '{', 'hello', '{"query": "{ __typename }"', '\u0000']) {
    const answer = await send(body);
    expect(answer.status).toBe(400);
    expect(refusal(answer.body)).toEqual({ code: 'BAD_REQUEST', message: 'The POST body is not valid JSON.' });
    expect(answer.body).not.toContain('Unexpected');
  }
});

test('a JSON body that is not a request is refused', async () => {
  for (const body of ['null', '1', '"{ __typename }"', '[]', '{}', '{"query": 1}', '{"query": null}']) {
    const answer = await send(body);
    expect(answer.status).toBe(400);
    expect(refusal(answer.body).code).toBe('BAD_REQUEST');
  }
  for (const extra of [
    '"variables": "x"',
    '"variables": [1]',
    '"extensions": 3',
    '"operationName": 1',
    '"more": true',
  ]) {
    const answer = await send(`{"query": "{ __typename }", ${extra}}`);
    expect(answer.status).toBe(400);
    expect(refusal(answer.body).code).toBe('BAD_REQUEST');
  }
});

test('many operations in one body are refused', async () => {
  const answer = await send(JSON.stringify([{ query: '{ __typename }' }, { query: '{ __typename }' }]));
  expect(answer.status).toBe(400);
  expect(refusal(answer.body).code).toBe('BAD_REQUEST');
});

test('requests that a form on another site could send are refused', async () => {
  const before = await countRows();
  const mutation = `mutation { signUp(input: { username: "grace", email: "g@example.com", password: "found the first bug" }) { __typename } }`;
  const forms = [
    ['application/x-www-form-urlencoded', new URLSearchParams({ query: mutation }).toString()],
    ['text/plain', JSON.stringify({ query: mutation })],
    [
      'multipart/form-data; boundary=b',
      `--b\r\ncontent-disposition: form-data; name="query"\r\n\r\n${mutation}\r\n--b--`,
    ],
    ['application/graphql', mutation],
    ['application/jsonp', JSON.stringify({ query: mutation })],
  ] as const;
  for (const [contentType, body] of forms) {
    const answer = await send(body, { 'content-type': contentType });
    expect(answer.status).toBe(415);
    const { code, message } = refusal(answer.body);
    expect(code).toBe('BAD_REQUEST');
    expect(message).toContain('Send a POST body as content-type: application/json.');
    // For a multipart form, the error also names the header that an upload requires.
    expect(message.includes('graphql-require-preflight')).toBe(contentType.startsWith('multipart/form-data'));
  }
  expect(await countRows()).toBe(before);
  expect(
    (await send('{"query": "{ __typename }"}', { 'content-type': 'application/json; charset=utf-8' })).status,
  ).toBe(200);
});

test('a body beyond the limit is refused, even one that does not declare its length', async () => {
  const padding = 'x'.repeat(requestLimits.maxBodyBytes);
  const tooLarge = JSON.stringify({ query: '{ __typename }', variables: { padding } });
  const answer = await send(tooLarge);
  expect(answer.status).toBe(413);
  expect(refusal(answer.body).code).toBe('BAD_REQUEST');

  const chunked = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: new Blob([tooLarge]).stream(),
    duplex: 'half',
  } as RequestInit);
  expect(chunked.status).toBe(413);
  expect(refusal(await chunked.text()).code).toBe('BAD_REQUEST');

  const fits = JSON.stringify({ query: '{ __typename }', variables: { padding: padding.slice(200) } });
  expect((await send(fits)).status).toBe(200);
});

test('a document that does not fit the schema is refused, and the error has the position', async () => {
  for (const document of [
    '{',
    '{ nope }',
    '{ viewer }',
    '{ node(id: 1.5) { id } }',
    'query ($id: Nope) { __typename }',
  ]) {
    const { status, data, errors } = await server.post(document);
    expect(status).toBe(200);
    expect(data).toBe(undefined);
    expect(errors?.[0]?.extensions?.['code']).toBe('BAD_REQUEST');
    expect(errors?.[0]?.locations).toHaveLength(1);
  }
});

test('variables of the wrong type are refused and change nothing', async () => {
  const before = await countRows();
  const document = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }';
  const chatId = 'Q2hhdDox';
  const inputs = [
    undefined,
    null,
    [],
    'text',
    {},
    { chatId },
    { chatId, content: null },
    { chatId, content: 1 },
    { chatId, content: ['a'] },
    { chatId: { id: chatId }, content: 'a' },
    { chatId: true, content: 'a' },
    { chatId, content: 'a', more: 'b' },
  ];
  for (const input of inputs) {
    const { data, errors } = await ada.post(document, { input });
    expect(data).toBe(undefined);
    expect(errors?.[0]?.extensions?.['code']).toBe('BAD_REQUEST');
  }
  expect(await countRows()).toBe(before);
});

test('a document with too many tokens is not parsed', async () => {
  const fields = (count: number) => `{ ${Array.from({ length: count }, (_, i) => `a${i}: __typename`).join(' ')} }`;
  expect((await server.post(fields(200))).errors).toBe(undefined);
  const { data, errors } = await server.post(fields(requestLimits.maxTokens));
  expect(data).toBe(undefined);
  expect(errors?.[0]?.message).toMatch(/token/);
  expect(errors?.[0]?.extensions?.['code']).toBe('BAD_REQUEST');
});

test('a query that nests too deep is refused before anything is read', async () => {
  const nest = (depth: number): string =>
    depth === 0 ? 'id' : `chat { members { edges { node { ${nest(depth - 1)} } } } }`;
  const { data, errors } = await ada.post(`{ node(id: "x") { ... on Message { ${nest(6)} } } }`);
  expect(data?.node ?? null).toBe(null);
  expect(errors?.[0]?.message).toMatch(/too large/);
  expect(errors?.[0]?.extensions?.['code']).toBe('BAD_REQUEST');
});

test('a query that multiplies pages by pages is refused before anything is read', async () => {
  const { data, errors } = await ada.post(
    '{ viewer { chats(first: 100) { edges { node { messages(first: 100) { edges { node { id } } } members(first: 100) { edges { node { id } } } } } } } }',
  );
  expect(data?.viewer ?? null).toBe(null);
  expect(errors?.[0]?.extensions?.['code']).toBe('BAD_REQUEST');
});

test('fragments that double at each step do not multiply the work', async () => {
  const steps = Array.from(
    { length: 60 },
    (_, i) => `fragment f${i} on Query { ...f${i + 1} a${i}: __typename ...f${i + 1} }`,
  );
  const { data } = await server.post(`{ ...f0 } ${steps.join(' ')} fragment f60 on Query { __typename }`);
  expect(data === undefined || data.__typename === 'Query').toBe(true);
});

test('circular fragments are refused, however long the cycle', async () => {
  const length = 160;
  const circle = Array.from(
    { length },
    (_, i) => `fragment f${i} on Query { ...f${(i * 7 + 1) % length} ...f${(i + 1) % length} }`,
  );
  const { data, errors } = await server.post(`{ ...f0 } ${circle.join(' ')}`);
  expect(data).toBe(undefined);
  expect(errors?.[0]?.message).toMatch(/within itself/);
  expect(errors?.[0]?.extensions?.['code']).toBe('BAD_REQUEST');
});

test('circular introspection is refused', async () => {
  const nest = (depth: number): string => (depth === 0 ? 'name' : `fields { type { ${nest(depth - 1)} } }`);
  const { data, errors } = await server.post(`{ __schema { types { ${nest(6)} } } }`);
  expect(data).toBe(undefined);
  expect(errors?.[0]?.extensions?.['code']).toBe('BAD_REQUEST');
});

test('a mutation by GET is refused and changes nothing', async () => {
  const before = await countRows();
  const query =
    'mutation { signUp(input: { username: "linus", email: "l@example.com", password: "wrote a kernel" }) { __typename } }';
  const response = await fetch(`${server.url}/graphql?${new URLSearchParams({ query })}`, {
    headers: { accept: 'application/json' },
  });
  expect(response.status).toBe(405);
  expect(response.headers.get('allow')).toBe('POST');
  expect(refusal(await response.text()).code).toBe('BAD_REQUEST');
  expect(await countRows()).toBe(before);
});

test('broken variables in a query string are refused', async () => {
  const response = await fetch(`${server.url}/graphql?query=%7B__typename%7D&variables=%7B`, {
    headers: { accept: 'application/json' },
  });
  expect(response.status).toBe(400);
  expect(refusal(await response.text()).code).toBe('BAD_REQUEST');
});

test('a subscription that asks for plain JSON gets an error that says where to subscribe', async () => {
  const answer = await send(JSON.stringify({ query: 'subscription { events { cursor } }' }));
  expect(answer.status).toBe(406);
  expect(refusal(answer.body)).toEqual({
    code: 'BAD_REQUEST',
    message: 'Send subscriptions with accept: text/event-stream.',
  });
});
