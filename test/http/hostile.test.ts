import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { signUp } from '../support/client.ts';
import { startServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

const server = await sharedServer();
const ada = await signUp(server, 'ada');
const { hostname, port } = new URL(server.url);

const open = (): Socket => connect(Number(port), hostname).on('error', () => undefined);

/**
 * Sends some bytes. Returns all data that comes back until the server closes the connection or sends nothing for 5
 * seconds.
 */
async function answerTo(text: string): Promise<string> {
  const socket = open();
  let answer = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => void (answer += chunk));
  socket.write(text, 'latin1');
  socket.setTimeout(5_000, () => socket.destroy());
  await once(socket, 'close');
  return answer;
}

/** Resolves when the socket is closed for any reason. Rejects if that takes longer than `withinMs`. */
async function closed(socket: Socket, withinMs: number): Promise<void> {
  const signal = AbortSignal.timeout(withinMs);
  while (!socket.closed) await once(socket, 'close', { signal }).catch(() => signal.throwIfAborted());
}

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);

describe('malformed and unusual requests:', () => {
  const query = '{"query":"{ __typename }"}';
  const post = (headers: string, body = query) =>
    `POST /graphql HTTP/1.1\r\nContent-Length: ${body.length}\r\nConnection: close\r\n${headers}\r\n\r\n${body}`;
  const json = 'Content-Type: application/json';
  const hosts = [
    'a:99999',
    'a b',
    'x:y',
    '[::1',
    '?',
    '#',
    '<script>',
    '%',
    '',
    'a\\b',
    '@',
    'ü',
    '..',
    'x'.repeat(3_000),
  ];
  const paths = ['/graphql', '/graphql/stream', '/api/upload', '/api/upload/tus', '/files/a/b', '/livez', '/nowhere'];
  const targets = [
    '//',
    '*',
    'http://',
    'http://[',
    'https://%/graphql',
    '/graphql?%',
    '/graphql?query=%ff',
    '/%00',
    '/files/%/%',
  ];
  const bodies = [
    '{"query":"{"}',
    '{"query":"{ __typename }","operationName":"a\\u0000"}',
    '\u0000',
    '{"query":{}}',
    '[]',
  ];
  const types = ['application/json; charset=latin1', 'multipart/form-data', 'multipart/form-data; boundary=', ';', '"'];
  const corpus = [
    ...hosts.flatMap((host) => [
      ...paths.map((path) => `GET ${path}?query={__typename} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
      post(`Host: ${host}\r\n${json}`),
      post(`Host: ${host}\r\n${json}`, '{"query":"{"}'),
      post(`Host: ${host}\r\nContent-Type: text/plain`, 'x'),
    ]),
    ...targets.map((target) => `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
    ...bodies.flatMap((body) => [
      post(`Host: x\r\n${json}`, body),
      post(`Host: x\r\n${json}\r\nAccept: text/event-stream`, body),
    ]),
    ...types.flatMap((type) =>
      ['application/json', 'text/event-stream'].map((accept) =>
        post(`Host: x\r\nContent-Type: ${type}\r\nAccept: ${accept}`),
      ),
    ),
    'GET /graphql HTTP/9.9\r\n\r\n',
    'CONNECT elsewhere.test:443 HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n',
    'CONNECT /graphql HTTP/1.1\r\nHost: x\r\n\r\n',
    'G\u0000T / HTTP/1.1\r\n\r\n',
    'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx',
    `GET /graphql HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`,
  ];

  test('no answer reveals internals or is a server error', async () => {
    const before = server.log.length;
    for (let index = 0; index < corpus.length; index += 20) {
      const requests = corpus.slice(index, index + 20);
      const answers = await Promise.all(requests.map(answerTo));
      for (const [which, answer] of answers.entries()) {
        expect(answer, requests[which]).not.toMatch(/node_modules|\bat .+:\d+:\d+|TypeError|file:\/\/|\/src\//);
        expect(statusOf(answer), requests[which]).toBeGreaterThanOrEqual(200);
        expect(statusOf(answer), requests[which]).toBeLessThan(500);
      }
    }
    expect(server.log.slice(before).filter(({ level }) => level === 'error')).toEqual([]);
    expect(await server.ask('{ __typename }')).toEqual({ __typename: 'Query' });
  });

  test('a NUL in operationName or in an operation id gets 400', async () => {
    const nul = JSON.stringify({ query: '{ __typename }', operationName: 'a\u0000' });
    expect(statusOf(await answerTo(post(`Host: x\r\n${json}`, nul)))).toBe(400);
    const byQuery =
      'GET /graphql?query={__typename}&operationName=a%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    expect(statusOf(await answerTo(byQuery))).toBe(400);
    const headers = { authorization: `Bearer ${ada.token}`, 'content-type': 'application/json' };
    const reserved = await fetch(`${server.url}/graphql/stream`, { method: 'PUT', headers });
    const given = await fetch(`${server.url}/graphql/stream`, {
      method: 'POST',
      headers: { ...headers, 'x-graphql-event-stream-token': await reserved.text() },
      body: JSON.stringify({ query: '{ __typename }', extensions: { operationId: 'a\u0000' } }),
    });
    expect(given.status).toBe(400);
  });

  test('a target in absolute form works like any other', async () => {
    const request = (target: string) => `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    expect(await answerTo(request('http://x/graphql?query={__typename}'))).toContain('"__typename":"Query"');
    expect(statusOf(await answerTo(request('HTTPS://chat.example.com/livez')))).toBe(200);
    expect(statusOf(await answerTo(request('http://x')))).toBe(200);
    expect(statusOf(await answerTo(request('http://x/nothing')))).toBe(404);
  });

  test('a body in an unsupported charset or encoding gets 415', async () => {
    for (const headers of [
      `${json}; charset=utf-16`,
      `${json}; charset="iso-8859-1"`,
      `${json}\r\nContent-Encoding: gzip`,
      `${json}\r\nContent-Encoding: br`,
    ]) {
      for (const accept of ['application/json', 'text/event-stream']) {
        expect(statusOf(await answerTo(post(`Host: x\r\n${headers}\r\nAccept: ${accept}`))), headers).toBe(415);
      }
    }
    expect(statusOf(await answerTo(post(`Host: x\r\n${json}; charset="UTF-8"\r\nContent-Encoding: identity`)))).toBe(
      200,
    );
  });
});

describe('a connection', () => {
  const multipart = 'Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000';
  const cases: [string, string, string, string][] = [
    ['GET of a page, chunked', 'GET /livez', 'Transfer-Encoding: chunked', '1\r\na\r\n'],
    ['GET of a query, chunked', 'GET /graphql?query={__typename}', 'Transfer-Encoding: chunked', '1\r\na\r\n'],
    ['GET of a stream, chunked', 'GET /graphql/stream?query={__typename}', 'Transfer-Encoding: chunked', '1\r\na\r\n'],
    ['POST of a form to a page', 'POST /livez', multipart, ' '],
    ['a form without the preflight header', 'POST /graphql', multipart, ' '],
    ['a preflight of CORS', 'OPTIONS /graphql', 'Origin: http://a.test\r\nTransfer-Encoding: chunked', '1\r\na\r\n'],
    ['GET with a form', 'GET /graphql?query={__typename}', multipart, ' '],
    ['an unknown method', 'PATCH /graphql', multipart, ' '],
    ['an upload without a token', 'POST /api/upload', multipart, ' '],
  ];

  test.concurrent.each(cases)(
    'whose request was answered is closed even if the body never ends: %s',
    async (_, request, headers, drop) => {
      const socket = open();
      const trickle = setInterval(() => void (socket.writable && socket.write(drop)), 500);
      let answer = '';
      socket.on('data', (chunk) => void (answer += chunk));
      socket.write(`${request} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`);
      await closed(socket, 18_000);
      clearInterval(trickle);
      expect(statusOf(answer)).toBeGreaterThanOrEqual(200);
    },
  );
});

describe('a connection with unread responses', () => {
  // The response is larger than what the system buffers for a socket whose reader has stopped.
  const long = `{ ${Array.from({ length: 50 }, (_, i) => `a${i}: __type(name: "Mutation") { fields { name description } }`).join(' ')} }`;
  const body = JSON.stringify({ query: long });
  const times = 60;
  const head = (forwardedFor: string) =>
    `POST /graphql HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${forwardedFor}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;

  /** Sends the request repeatedly on one connection, and reads none of the responses. */
  const askDeaf = ({ url }: { url: string }, forwardedFor = '192.0.2.1'): Socket => {
    const { port: at, hostname: host } = new URL(url);
    const socket = connect(Number(at), host).on('error', () => undefined);
    socket.write((head(forwardedFor) + body).repeat(times));
    // A client that does not read notices that its connection is closed only when it writes.
    const trickle = setInterval(() => void (socket.writable && socket.write('\r\n')), 200);
    socket.once('close', () => clearInterval(trickle));
    return socket.pause();
  };

  test('is closed when the client has stopped reading', async () => {
    await using strict = await startServer({
      overrides: { unread: { ms: 500, charactersPerMs: 1_000, perAddress: 1e9 } },
    });
    await closed(askDeaf(strict), 18_000);
    expect(await strict.ask('{ __typename }')).toEqual({ __typename: 'Query' });
  });

  test('is closed when its network leaves too many responses unread', async () => {
    await using strict = await startServer({
      overrides: { unread: { ms: 60_000, charactersPerMs: 10, perAddress: 50_000 } },
    });
    const sockets = [askDeaf(strict), askDeaf(strict), askDeaf(strict)];
    await Promise.race(sockets.map((socket) => closed(socket, 18_000)));
    expect(strict.log).toContainEqual(
      expect.objectContaining({ level: 'warn', msg: 'a connection was closed: too many answers wait to be read' }),
    );
    expect(await strict.ask('{ __typename }')).toEqual({ __typename: 'Query' });
    for (const socket of sockets) socket.destroy();
  });

  test('is closed when its network, behind the trusted proxy, leaves too many responses unread; other networks there are unaffected', async () => {
    const { length } = JSON.stringify({ data: await server.ask(long) });
    await using strict = await startServer({
      env: { TRUST_PROXY: '1' },
      overrides: { unread: { ms: 60_000, charactersPerMs: 10, perAddress: 1.5 * length } },
    });
    const other = askDeaf(strict, '198.51.100.7');
    const sockets = [askDeaf(strict), askDeaf(strict)];
    await Promise.race(sockets.map((socket) => closed(socket, 18_000)));
    const warned = strict.log.filter(({ msg }) => msg === 'a connection was closed: too many answers wait to be read');
    expect(warned).toMatchObject([{ address: '192.0.2.0/24' }]);
    expect(other.closed).toBe(false);
    for (const socket of [other, ...sockets]) socket.destroy();
  });

  test('stays open for a client that only pauses', async () => {
    const socket = askDeaf(server);
    let answers = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => void (answers += chunk));
    socket.resume();
    await expect.poll(() => answers.split('HTTP/1.1 200 OK').length, { timeout: 15_000 }).toBe(times + 1);
    socket.destroy();
  });
});

test('an operator can limit the number of connections, also per address', async () => {
  for (const setting of ['MAX_CONNECTIONS', 'MAX_CONNECTIONS_PER_ADDRESS']) {
    await using small = await startServer({ env: { [setting]: '3' } });
    const url = new URL(small.url);
    const sockets = Array.from({ length: 4 }, () => connect(Number(url.port), url.hostname));
    const refused = await Promise.race(sockets.map((socket) => once(socket, 'close').then(() => socket)));
    expect(sockets.filter(({ destroyed }) => !destroyed)).toHaveLength(3);
    expect(refused.bytesRead).toBe(0);
    expect(small.log).toContainEqual(expect.objectContaining({ setting }));
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => small.ask('{ __typename }').catch(() => null)).toEqual({ __typename: 'Query' });
  }
});

test('an operator can set how long an idle connection is kept', async () => {
  await using patient = await startServer({ env: { KEEP_ALIVE_TIMEOUT: '600s' } });
  const response = await fetch(`${patient.url}/livez`);
  expect(response.headers.get('keep-alive')).toBe('timeout=600');
});

test('answers that may contain tokens are never cached', async () => {
  const { headers } = await server.post('{ __typename }');
  expect(headers.get('cache-control')).toBe('no-store');
  const byGet = await fetch(`${server.url}/graphql?query={__typename}`, { headers: { accept: 'application/json' } });
  expect(byGet.headers.get('cache-control')).toBe('no-store');
  const reserved = await fetch(`${server.url}/graphql/stream`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${ada.token}` },
  });
  expect(reserved.headers.get('cache-control')).toBe('no-store');
});

test.each([
  ['/graphql', 'text/event-stream'],
  ['/graphql/stream', 'text/event-stream'],
  ['/graphql', 'multipart/mixed; subscriptionSpec="1.0"'],
])('tokens that a mutation on %s returns as %s are never cached', async (path, accept) => {
  const { refreshToken } = await signUp(server, `user${Math.random().toString(36).slice(2)}`);
  const query =
    'mutation ($token: String!) { refreshSession(refreshToken: $token) { ... on SignedIn { accessToken } } }';
  const response = await fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept },
    body: JSON.stringify({ query, variables: { token: refreshToken } }),
  });
  expect(await response.text()).toContain('accessToken');
  expect(response.headers.get('cache-control')).toContain('no-store');
});

test('a form is an upload whatever its Accept says', async () => {
  const operations = JSON.stringify({
    query: 'mutation ($f: Upload!) { uploadFile(file: $f) { __typename ... on File { size } } }',
    variables: { f: null },
  });
  for (const accept of [
    'application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed',
    'text/event-stream, application/json',
    'application/graphql-response+json,application/json;q=0.9',
    'multipart/mixed;subscriptionSpec=1.0, application/json',
    '*/*',
  ]) {
    const form = new FormData();
    form.append('operations', operations);
    form.append('map', '{"0":["variables.f"]}');
    form.append('0', new Blob(['hello']), 'x.txt');
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ada.token}`, 'graphql-require-preflight': '1', accept },
      body: form,
    });
    expect(await response.json()).toEqual({ data: { uploadFile: { __typename: 'File', size: 5 } } });
  }
});
