import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { signUp, type Person } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

let server: TestServer;
let ada: Person;
beforeAll(async () => {
  server = await sharedServer();
  ada = await signUp(server, 'ada');
});

// The pieces are few enough that, even on a busy machine, all of them are sent within the 2 s for which the server
// keeps reading.
const pieces = { count: 8, size: 125_000 };

/**
 * Sends a request whose large body is still being sent when the answer arrives, and continues to send. Returns the
 * received data, and the error of the connection, if any.
 */
async function sendSlowly(lines: string[]): Promise<{ answer: string; fault: string | null; sentAll: boolean }> {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  let fault: string | null = null;
  socket.setEncoding('latin1').on('data', (chunk: string) => void (answer += chunk));
  socket.on('error', (error) => void (fault = error.message));
  const closed = once(socket, 'close').catch(() => undefined);
  const length = `content-length: ${pieces.count * pieces.size}`;
  socket.write([...lines, 'host: localhost', length, '', ''].join('\r\n'));
  socket.write('x'.repeat(pieces.size));
  await Promise.race([once(socket, 'data'), closed]);
  let sent = 1;
  for (; sent < pieces.count && socket.writable; sent += 1) {
    socket.write('x'.repeat(pieces.size));
    // Pause, as on a slow connection, so that the server can close the connection in the meantime.
    await sleep(20);
  }
  await closed;
  return { answer, fault, sentAll: sent === pieces.count };
}

const stream = 'accept: text/event-stream';
const signedIn = () => `authorization: Bearer ${ada.token}`;

test.each<[string, number, () => string[]]>([
  ['a stream requested by another method', 405, () => ['PATCH /graphql/stream HTTP/1.1', stream]],
  ['a stream without a token', 401, () => ['PUT /graphql/stream HTTP/1.1', stream]],
  [
    'a stream with an invalid token',
    401,
    () => ['PUT /graphql/stream HTTP/1.1', stream, 'authorization: Bearer not.a.token'],
  ],
  ['a body of an unknown type', 415, () => ['POST /graphql/stream HTTP/1.1', stream, 'content-type: text/plain']],
  [
    'a compressed body',
    415,
    () => ['POST /graphql HTTP/1.1', stream, 'content-type: application/json', 'content-encoding: br'],
  ],
  [
    'a stream that is unknown',
    404,
    () => ['DELETE /graphql/stream?operationId=x HTTP/1.1', signedIn(), 'x-graphql-event-stream-token: unknown'],
  ],
  [
    'an upload without a token',
    401,
    () => ['POST /api/upload HTTP/1.1', 'content-type: multipart/form-data; boundary=x'],
  ],
])('a client that still sends when it is refused can read why: %s', async (_, status, lines) => {
  const { answer, fault, sentAll } = await sendSlowly(lines());
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  expect(body).toHaveLength(Number(/content-length: (\d+)/i.exec(head)?.[1]));
  expect(JSON.parse(body)).toEqual(expect.anything());
  expect({ fault, sentAll }).toEqual({ fault: null, sentAll: true });
});
