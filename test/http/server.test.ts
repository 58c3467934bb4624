import { pino } from 'pino';
import { expect, test } from 'vitest';
import { openHttpServer } from '../../src/http/server.ts';
import { startServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

const server = await sharedServer();

test('a missing page is a 404 in JSON', async () => {
  for (const path of ['/index.html', '/graphql/', '/admin', '/constructor', '//graphql', '/livez/x']) {
    const response = await fetch(server.url + path);
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({ error: 'Not found. The API is at /graphql.' });
  }
});

test('the public keys that verify access tokens are published, and the private keys are not', async () => {
  const response = await fetch(`${server.url}/.well-known/jwks.json`);
  expect(response.status).toBe(200);
  const { keys } = (await response.json()) as { keys: Record<string, unknown>[] };
  expect(keys).toEqual([
    { kty: 'OKP', crv: 'Ed25519', x: expect.any(String), kid: expect.any(String), alg: 'EdDSA', use: 'sig' },
  ]);
});

test('pages accept only GET and HEAD', async () => {
  const response = await fetch(`${server.url}/.well-known/jwks.json`, { method: 'POST' });
  expect(response.status).toBe(405);
  expect(response.headers.get('allow')).toBe('GET, HEAD');
});

test('a handler that fails gets a 500 without internals, and is logged', async () => {
  const lines: string[] = [];
  const fail = () => Promise.reject(new Error('the secret is 42'));
  const failing = await openHttpServer(
    { host: '127.0.0.1', port: 0 },
    {
      graphql: fail,
      graphiql: fail,
      streams: fail,
      pages: { '/page': fail },
      corsOrigin: '*',
      connections: { total: 0, perAddress: 0 },
      addressOf: () => 'unknown',
      keepAliveMs: 1_000,
      endStreams: () => undefined,
      log: pino({}, { write: (line) => void lines.push(line) }),
    },
  );
  for (const path of ['/graphql', '/graphql/stream', '/page']) {
    const response = await fetch(`http://127.0.0.1:${failing.port}${path}`);
    expect(response.status).toBe(500);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    const body = await response.text();
    expect(JSON.parse(body).errors[0].extensions).toEqual({ code: 'INTERNAL' });
    expect(body).not.toContain('42');
    expect(lines.pop()).toContain('the secret is 42');
  }
  await failing.close();
});

test('a request that is in progress when the server closes is still answered', async () => {
  const closing = await startServer();
  const holder = await closing.sql.connect();
  await holder.query('begin; lock table users in access exclusive mode');
  const signingUp = closing.post(`mutation {
    signUp(input: { username: "ada", email: "ada@example.com", password: "wrote the first program" }) { __typename }
  }`);
  const findWaiting = async () =>
    (await holder.query("select from pg_locks where not granted and relation = 'users'::regclass")).rowCount;
  await expect.poll(findWaiting).toBe(1);

  const closed = closing.close();
  await expect(fetch(closing.url)).rejects.toThrow('fetch failed');
  await holder.query('commit');
  holder.release();
  const answer = await signingUp;
  expect(answer.data).toEqual({ signUp: { __typename: 'SignedIn' } });
  expect(answer.headers.get('connection')).toBe('close');
  await closed;
});
