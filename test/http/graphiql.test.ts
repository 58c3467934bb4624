import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { complaintsOf, startServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

const server = await sharedServer();
const asBrowser = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

test('a browser gets GraphiQL, and everything it needs comes from this server', async () => {
  const response = await fetch(`${server.url}/graphql`, { headers: asBrowser });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(response.headers.get('content-encoding')).toBe('gzip');
  const page = await response.text();
  expect(page).toContain('<title>parley</title>');
  expect(page).toContain('mutation Enter');
  expect(page.match(/<(script|link|img|iframe)[^>]* (src|href)="(https?:)?\/\/[^"]*"/g)).toBe(null);
  // The browser loads nothing from elsewhere and connects to no other host, regardless of what the page's script tries
  // to load.
  const policy = response.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("connect-src 'self'");
  expect(policy).not.toMatch(/https?:|\*/);
});

test('a browser that has cached the page does not receive it again', async () => {
  const first = await fetch(`${server.url}/graphql`, { headers: asBrowser });
  await first.arrayBuffer();
  const etag = first.headers.get('etag') ?? '';
  const again = await fetch(`${server.url}/graphql`, { headers: { ...asBrowser, 'if-none-match': etag } });
  expect(again.status).toBe(304);
  const plain = await fetch(`${server.url}/graphql`, { headers: { ...asBrowser, 'accept-encoding': 'identity' } });
  expect(plain.headers.get('content-encoding')).toBe(null);
  expect(await plain.text()).toContain('<title>parley</title>');
});

test('a client that asks for anything but a page gets a GraphQL response, not GraphiQL', async () => {
  const url = `${server.url}/graphql?query=%7B__typename%7D`;
  for (const accept of ['application/json', '*/*', 'application/graphql-response+json, */*;q=0.1']) {
    const response = await fetch(url, { headers: { accept } });
    expect(await response.json()).toEqual({ data: { __typename: 'Query' } });
  }
});

test.each(['identity', 'gzip'])(
  'a browser that hangs up while it receives the page as %s causes no server error',
  async (encoding) => {
    await using node = await startServer();
    const { hostname, port } = new URL(node.url);
    // The first request makes the server render the page. The other clients hang up while the page is being sent.
    await (await fetch(`${node.url}/graphql`, { headers: asBrowser })).arrayBuffer();
    for (const hangUp of ['destroy', 'resetAndDestroy'] as const) {
      const socket = connect(Number(port), hostname).on('error', () => undefined);
      const lines = [
        'GET /graphql HTTP/1.1',
        'host: localhost',
        `accept: ${asBrowser.accept}`,
        `accept-encoding: ${encoding}`,
      ];
      socket.write([...lines, '', ''].join('\r\n'));
      await once(socket, 'data');
      const closed = once(socket, 'close');
      socket[hangUp]();
      await closed;
    }
    // Resolves when all requests have ended.
    await node.close();
    expect(complaintsOf(node)).toEqual([]);
  },
);
