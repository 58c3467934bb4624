import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { cacheExchange, createClient, fetchExchange } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';
import { getIntrospectionQuery } from 'graphql';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { hashDocument } from '../../src/api/trusted-document.ts';
import { signUp, type Data } from '../support/client.ts';
import { startServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { happened, openReserved, request, reserve, tokenHeader } from '../support/single.ts';
import { EventStream } from '../support/stream.ts';

const folder = await mkdtemp(join(tmpdir(), 'parley-documents-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const myName = 'query MyName { viewer { user { username } } }';
const follow = 'subscription Follow { events { cursor event { __typename } } }';
const signOut = 'mutation SignOut { signOut }';
const manifest = join(folder, 'manifest.json');
await writeFile(manifest, JSON.stringify({ 'my-name': myName, [hashDocument(follow)]: follow, 'sign-out': signOut }));

const server = await sharedServer();
const ada = await signUp(server, 'ada');
const trusting = await startServer({ database: server.database, env: { TRUSTED_DOCUMENTS: manifest } });
const strict = await startServer({
  database: server.database,
  env: { TRUSTED_DOCUMENTS: manifest, TRUSTED_DOCUMENTS_ONLY: 'true' },
});

type Params = Record<string, unknown>;
type Options = { at?: { url: string }; token?: string | null; accept?: string };
const idOf = (document: string) => `sha256:${hashDocument(document)}`;
const automatic = (document: string) => ({ persistedQuery: { version: 1, sha256Hash: hashDocument(document) } });
const notFound = { message: 'PersistedQueryNotFound', extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } };

function send(params: Params, { at = server, token = ada.token, accept = 'application/json' }: Options = {}) {
  return fetch(`${at.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept,
      ...(token !== null && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(params),
  });
}

function get(params: Params, { at = server, token = ada.token, accept = 'application/json' }: Options = {}) {
  const search = new URLSearchParams(
    Object.entries(params).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
  return fetch(`${at.url}/graphql?${search}`, {
    headers: { accept, ...(token !== null && { authorization: `Bearer ${token}` }) },
  });
}

const jsonOf = async (answer: Response | Promise<Response>): Promise<Data> => (await answer).json();

describe('a document’s hash', () => {
  test('names the document in POST, in GET and in streams, once a signed-in user has registered it', async () => {
    const ways: Params[] = [{ documentId: idOf(myName) }, { extensions: automatic(myName) }];
    for (const params of ways) {
      expect(await jsonOf(send(params))).toEqual({ errors: [notFound] });
      expect(await jsonOf(get(params))).toEqual({ errors: [notFound] });
      const frames = await (await send(params, { accept: 'text/event-stream' })).text();
      expect(frames).toContain('PersistedQueryNotFound');
    }
    const expected = { data: { viewer: { user: { username: 'ada' } } } };
    expect(await jsonOf(send({ query: myName, extensions: automatic(myName) }))).toEqual(expected);
    for (const params of ways) {
      expect(await jsonOf(send(params))).toEqual(expected);
      expect(await jsonOf(get(params))).toEqual(expected);
      for (const answer of [
        send(params, { accept: 'text/event-stream' }),
        get(params, { accept: 'text/event-stream' }),
      ])
        expect(await (await answer).text()).toContain(`data: ${JSON.stringify(expected)}`);
    }
  });

  test('is accepted with its document, and then registers it, as `documentId` too', async () => {
    const query = '{ api { level } }';
    expect(await jsonOf(send({ query, documentId: idOf(query) }))).toHaveProperty('data.api.level');
    expect(await jsonOf(send({ documentId: idOf(query) }))).toHaveProperty('data.api.level');
  });

  test('is used, but not registered, by clients that are not signed in', async () => {
    const query = '{ api { version } }';
    const params = { extensions: automatic(query) };
    expect(await jsonOf(send({ query, ...params }, { token: null }))).toHaveProperty('data.api.version');
    expect(await jsonOf(send(params, { token: null }))).toEqual({ errors: [notFound] });
    expect(await jsonOf(send({ query, ...params }, { token: 'bad' }))).toHaveProperty('data.api.version');
    expect(await jsonOf(send(params, { token: null }))).toEqual({ errors: [notFound] });
    await send({ query, ...params });
    expect(await jsonOf(send(params, { token: null }))).toHaveProperty('data.api.version');
  });

  test('of another document is refused, and so is a mutation by GET', async () => {
    const answer = await send({ query: '{ __typename }', extensions: automatic(myName) });
    expect(answer.status).toBe(400);
    expect(await jsonOf(answer)).toMatchObject({ errors: [{ extensions: { code: 'BAD_REQUEST' } }] });
    expect((await send({ query: '{ __typename }', documentId: 'my-name' })).status).toBe(400);
    await send({ query: signOut, extensions: automatic(signOut) }, { token: (await signUp(server, 'alan')).token });
    const byGet = await get({ documentId: idOf(signOut) });
    expect([byGet.status, byGet.headers.get('allow')]).toEqual([405, 'POST']);
    expect(await ada.ask(myName)).toEqual({ viewer: { user: { username: 'ada' } } });
  });

  test('of an invalid document is not registered', async () => {
    const query = '{ nothing }';
    expect(await jsonOf(send({ query, extensions: automatic(query) }))).toHaveProperty('errors.0.extensions.code');
    expect(await jsonOf(send({ extensions: automatic(query) }))).toEqual({ errors: [notFound] });
  });

  test.each([{ documentId: 'a b' }, { documentId: 'x'.repeat(257) }, { documentId: 7 }, { documentId: 'a:b:c' }])(
    'must have its form: %o',
    async (params) => {
      const answer = await send(params);
      expect(answer.status).toBe(400);
      expect(await jsonOf(answer)).toMatchObject({ errors: [{ message: expect.stringContaining('documentId') }] });
    },
  );

  test('in another version of the protocol makes clients send documents', async () => {
    const extensions = { persistedQuery: { version: 2, sha256Hash: hashDocument(myName) } };
    expect(await jsonOf(send({ extensions }))).toMatchObject({
      errors: [{ message: 'PersistedQueryNotSupported', extensions: { code: 'PERSISTED_QUERY_NOT_SUPPORTED' } }],
    });
  });
});

/** Returns a `fetch` that counts the requests, and the requests that contain a document. */
function countingFetch() {
  const counts = { requests: 0, documents: 0 };
  const counted: typeof fetch = (input, init) => {
    counts.requests += 1;
    const params = typeof init?.body === 'string' ? JSON.parse(init.body) : {};
    if ('query' in params || new Request(input).url.includes('?query=')) counts.documents += 1;
    return fetch(input, init);
  };
  return { counts, counted };
}

describe('the persisted queries of stock clients', () => {
  test.each([true, false])(
    'Apollo’s link sends each document once (hashes by GET: %s)',
    async (useGETForHashedQueries) => {
      const { counts, counted } = countingFetch();
      const uri = `${server.url}/graphql`;
      const headers = { authorization: `Bearer ${ada.token}` };
      const name = `ByApollo${String(useGETForHashedQueries)}`;
      for (let each = 0; each < 2; each += 1) {
        const client = new ApolloClient({
          cache: new InMemoryCache(),
          link: ApolloLink.from([
            new PersistedQueryLink({ sha256: hashDocument, useGETForHashedQueries }),
            new HttpLink({ uri, headers, fetch: counted }),
          ]),
        });
        const { data } = await client.query({ query: gql(`query ${name} { viewer { user { id } } }`) });
        expect(data).toMatchObject({ viewer: { user: { id: ada.userId } } });
        client.stop();
      }
      expect(counts).toEqual({ requests: 3, documents: 1 });
    },
  );

  test.each([true, false])('urql’s exchange sends each document once (hashes by GET: %s)', async (preferGet) => {
    const { counts, counted } = countingFetch();
    for (let each = 0; each < 2; each += 1) {
      const client = createClient({
        url: `${server.url}/graphql`,
        fetch: counted,
        fetchOptions: { headers: { authorization: `Bearer ${ada.token}` } },
        preferGetMethod: false,
        exchanges: [cacheExchange, persistedExchange({ preferGetForPersistedQueries: preferGet }), fetchExchange],
      });
      const { data, error } = await client.query(`query ByUrql${String(preferGet)} { viewer { user { id } } }`, {});
      expect(error).toBeUndefined();
      expect(data).toMatchObject({ viewer: { user: { id: ada.userId } } });
    }
    expect(counts).toEqual({ requests: 3, documents: 1 });
  });
});

describe('a manifest', () => {
  test('makes its documents known by their ids and hashes, to everyone and in all transports', async () => {
    for (const documentId of ['my-name', idOf(myName)]) {
      for (const answer of [send({ documentId }, { at: trusting }), get({ documentId }, { at: trusting })])
        expect(await jsonOf(answer)).toEqual({ data: { viewer: { user: { username: 'ada' } } } });
    }
    const anonymous = await jsonOf(send({ documentId: 'my-name' }, { at: trusting, token: null }));
    expect(anonymous).not.toMatchObject({ errors: [notFound] });
    const abort = new AbortController();
    const { streamToken } = await ada.ask('mutation { streamToken }');
    const url = `${trusting.url}/graphql/stream?streamToken=${streamToken}&documentId=${idOf(follow)}`;
    const stream = new EventStream(
      await fetch(url, { headers: { accept: 'text/event-stream' }, signal: abort.signal }),
      abort,
    );
    await stream.next('CaughtUp');
    await stream.close();
  });

  test('serves an operation that is added at one node and runs on another, which does not know the id', async () => {
    const token = await reserve(server, ada);
    await using stream = await openReserved(server, ada, token);
    const body = { documentId: idOf(follow), extensions: { operationId: 'one' } };
    const added = await request(trusting, ada, 'POST', { headers: { [tokenHeader]: token }, body });
    expect(added.status).toBe(202);
    await stream.next(happened('one', 'CaughtUp'));
    const unknown = await request(server, ada, 'POST', {
      headers: { [tokenHeader]: token },
      body: { documentId: 'my-name', extensions: { operationId: 'two' } },
    });
    expect(unknown.status).toBe(400);
    expect(await unknown.json()).toMatchObject({ errors: [{ extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } }] });
  });

  test('in Apollo’s format is read too', async () => {
    const path = join(folder, 'apollo.json');
    const operations = [{ id: 'a1', name: 'MyName', type: 'query', body: myName }];
    await writeFile(path, JSON.stringify({ format: 'apollo-persisted-query-manifest', version: 1, operations }));
    await using node = await startServer({ database: server.database, env: { TRUSTED_DOCUMENTS: path } });
    expect(await jsonOf(send({ documentId: 'a1' }, { at: node }))).toHaveProperty('data.viewer');
  });

  test('that cannot be used stops the start, and the message names everything that is wrong', async () => {
    const path = join(folder, 'bad.json');
    const start = () => startServer({ database: server.database, env: { TRUSTED_DOCUMENTS: path } });
    await expect(start()).rejects.toThrow(/cannot read the file/);
    await writeFile(path, '[]');
    await expect(start()).rejects.toThrow(/is not a JSON object/);
    await writeFile(path, '{ "format": "other", "version": 1, "operations": [] }');
    await expect(start()).rejects.toThrow(/apollo-persisted-query-manifest/);
    const documents = {
      'a b': myName,
      broken: '{',
      invalid: '{ nothing }',
      empty: 'fragment F on User { id }',
      number: 7,
      [`sha256:${'0'.repeat(64)}`]: myName,
      fine: myName,
    };
    await writeFile(path, JSON.stringify(documents));
    const refusal = await start().then(
      () => '',
      (error: Error) => error.message,
    );
    const [, ...problems] = refusal.split('\n');
    expect(problems.map((line) => line.trim().split(': ')[0])).toEqual(
      Object.keys(documents)
        .filter((id) => id !== 'fine')
        .map((id) => JSON.stringify(id)),
    );
  });
});

describe('a server that runs trusted documents only', () => {
  const untrusted = { message: expect.stringContaining('documentId'), extensions: { code: 'BAD_REQUEST' } };

  test('runs those of the manifest, by id or by text', async () => {
    const expected = { data: { viewer: { user: { username: 'ada' } } } };
    for (const params of [{ documentId: 'my-name' }, { query: myName }, { extensions: automatic(myName) }]) {
      expect(await jsonOf(send(params, { at: strict }))).toEqual(expected);
      expect(await jsonOf(get(params, { at: strict }))).toEqual(expected);
    }
  });

  test.each([
    ['a query', '{ __typename }'],
    ['introspection', getIntrospectionQuery()],
    ['a trusted document with another space', `${myName} `],
  ])('refuses %s, however it is sent', async (_, query) => {
    for (const answer of [
      send({ query }, { at: strict }),
      get({ query }, { at: strict }),
      send({ query, extensions: automatic(query) }, { at: strict }),
    ]) {
      expect((await answer).status).toBe(400);
      expect(await jsonOf(answer)).toEqual({ errors: [untrusted] });
    }
    expect(await jsonOf(send({ extensions: automatic(query) }, { at: strict }))).toEqual({ errors: [notFound] });
    const frames = await (await send({ query }, { at: strict, accept: 'text/event-stream' })).text();
    expect(frames).toContain('trusts');
  });

  test('refuses other documents in uploads and single connections', async () => {
    const form = new FormData();
    form.set('operations', JSON.stringify({ query: '{ __typename }' }));
    form.set('map', '{}');
    const upload = await fetch(`${strict.url}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ada.token}`, 'graphql-require-preflight': '1' },
      body: form,
    });
    expect(await upload.json()).toEqual({ errors: [untrusted] });
    const token = await reserve(strict, ada);
    const body = { query: 'subscription { events { cursor } }', extensions: { operationId: 'one' } };
    const added = await request(strict, ada, 'POST', { headers: { [tokenHeader]: token }, body });
    expect(added.status).toBe(400);
  });

  test('needs a manifest', async () => {
    await expect(startServer({ database: server.database, env: { TRUSTED_DOCUMENTS_ONLY: 'true' } })).rejects.toThrow(
      'TRUSTED_DOCUMENTS_ONLY: "true" requires TRUSTED_DOCUMENTS',
    );
  });
});
