import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { signUp, type Person } from '../support/client.ts';
import { startServer } from '../support/server.ts';
import { openRaw as open, refusalOf } from '../support/raw-http.ts';
import { sharedServer } from '../support/shared-server.ts';

const server = await sharedServer();

/** A request that opens a stream of events. */
function streamRequest({ token }: Person): string {
  const body = JSON.stringify({ query: 'subscription { events { __typename } }' });
  const headers = [
    'host: x',
    'accept: text/event-stream',
    'content-type: application/json',
    `content-length: ${body.length}`,
    `authorization: Bearer ${token}`,
  ];
  return `POST /graphql/stream HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n${body}`;
}

test.each([
  ['no HTTP', 'HELO example.com\r\n', 400, 'The request is not valid HTTP/1.1.'],
  ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'The request is not valid HTTP/1.1.'],
  [
    'headers that are too large',
    `GET /livez HTTP/1.1\r\nhost: x\r\ncookie: ${'c'.repeat(20_000)}\r\n\r\n`,
    431,
    'The headers are larger than 16384 bytes.',
  ],
  [
    'extensions of a chunk that are too large',
    `POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2;${'e'.repeat(20_000)}`,
    413,
    'The extensions of a chunk are larger than 16384 bytes.',
  ],
])('a client that sends %s can read why it is refused', async (_, text, status, message) => {
  const connection = open(server.url);
  connection.socket.write(text, 'latin1');
  expect(await refusalOf(connection)).toEqual({ status, message });
});

test('a client that is still sending headers can read that they are too large', async () => {
  const connection = open(server.url);
  const faults: unknown[] = [];
  connection.socket.on('error', (error) => faults.push(error));
  connection.socket.write(`GET /livez HTTP/1.1\r\nhost: x\r\ncookie: ${'c'.repeat(20_000)}`);
  while (!connection.answer().endsWith('}')) {
    connection.socket.write('c'.repeat(10_000));
    await sleep(5);
  }
  connection.socket.write('c'.repeat(10_000));
  connection.socket.end();
  expect((await refusalOf(connection)).status).toBe(431);
  expect(faults).toEqual([]);
});

test('a stream ends without a second response when something unreadable follows its request', async () => {
  const ada = await signUp(server, 'ada');
  const connection = open(server.url);
  connection.socket.write(streamRequest(ada));
  await expect.poll(connection.answer).toContain('EventEnvelope');
  connection.socket.write('\0\0\r\n\r\n');
  await connection.closed;
  expect(connection.answer().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200']);
});

test('CONNECT behind a request that has not been answered closes the connection, and the server can still stop', async () => {
  const stopping = await startServer();
  const ada = await signUp(stopping, 'ada');
  const connection = open(stopping.url);
  connection.socket.write(streamRequest(ada));
  await expect.poll(connection.answer).toContain('EventEnvelope');
  connection.socket.write('CONNECT elsewhere.test:443 HTTP/1.1\r\nhost: elsewhere.test\r\n\r\n');
  await connection.closed;
  expect(connection.answer().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200']);
  await stopping.close();
});
