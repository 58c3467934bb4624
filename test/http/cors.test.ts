import { expect, test } from 'vitest';
import { startServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

const server = await sharedServer();
const page = 'https://chat.example.com';

test('a front end on any origin may send requests, with every header that the API knows', async () => {
  for (const path of ['/graphql', '/graphql/stream']) {
    const preflight = await fetch(server.url + path, {
      method: 'OPTIONS',
      headers: {
        origin: page,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization, content-type',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
    for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
      expect(preflight.headers.get('access-control-allow-methods')).toContain(method);
    }
    const headers = preflight.headers.get('access-control-allow-headers')?.split(', ');
    expect(headers).toEqual(
      expect.arrayContaining(['authorization', 'content-type', 'last-event-id', 'x-graphql-event-stream-token']),
    );
    expect(Number(preflight.headers.get('access-control-max-age'))).toBeGreaterThan(600);
    expect(preflight.headers.get('access-control-allow-credentials')).toBe(null);
  }
});

test('a page from another origin can read answers and refusals', async () => {
  const answer = await server.post('{ __typename }', {}, { headers: { origin: page } });
  expect(answer.data).toEqual({ __typename: 'Query' });
  expect(answer.headers.get('access-control-allow-origin')).toBe('*');
  const refusal = await server.post('{ nope }', {}, { headers: { origin: page } });
  expect(refusal.headers.get('access-control-allow-origin')).toBe('*');
});

test('with a list of origins, only those are allowed', async () => {
  const picky = await startServer({ env: { CORS_ORIGIN: `${page},https://admin.example.com` } });
  const ask = (origin: string) => picky.post('{ __typename }', {}, { headers: { origin } });
  const preflight = (origin: string) =>
    fetch(`${picky.url}/graphql`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } });

  for (const origin of [page, 'https://admin.example.com']) {
    expect((await preflight(origin)).headers.get('access-control-allow-origin')).toBe(origin);
    const { headers } = await ask(origin);
    expect(headers.get('access-control-allow-origin')).toBe(origin);
    expect(headers.get('vary')).toBe('origin');
  }
  for (const origin of ['https://evil.example.com', 'null', `${page}.evil.com`, 'http://chat.example.com']) {
    expect((await preflight(origin)).headers.get('access-control-allow-origin')).toBe(null);
    expect((await preflight(origin)).headers.get('access-control-allow-headers')).toBe(null);
    expect((await ask(origin)).headers.get('access-control-allow-origin')).toBe(null);
  }
});
