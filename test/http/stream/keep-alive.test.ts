import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { signUp } from '../../support/client.ts';
import { sharedServer } from '../../support/shared-server.ts';
import { eventsDocument } from '../../support/stream.ts';

/** The kinds of a socket's timer, as Linux shows them in /proc/net/tcp. */
const retransmission = '01';
const keepAlive = '02';

/**
 * Returns the timer that runs at the server's end of a connection, and the time in ms until it expires. Returns null if
 * no timer runs.
 */
async function timerOf(serverPort: number, clientPort: number): Promise<{ kind: string; ms: number } | null> {
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, '0');
  const table = await readFile('/proc/net/tcp', 'utf8');
  const row = table.split('\n').find((line) => line.includes(`:${hex(serverPort)} 0100007F:${hex(clientPort)} `));
  const [, kind = '00', ticks = '0'] = / (0\d):([0-9A-F]{8}) [0-9A-F]{8} /.exec(row ?? '') ?? [];
  return kind === '00' ? null : { kind, ms: Number.parseInt(ticks, 16) * 10 };
}

// test/full/silent-network.test.ts measures how long it takes to detect a silent client.
test('the system probes the client of a quiet stream every five seconds', async () => {
  const server = await sharedServer();
  const ada = await signUp(server, 'ada');
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  onTestFinished(() => void socket.destroy());
  const body = JSON.stringify({ query: eventsDocument });
  const lines = [
    'POST /graphql HTTP/1.1',
    'host: localhost',
    'content-type: application/json',
    'accept: text/event-stream',
    `authorization: Bearer ${ada.token}`,
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  socket.write([...lines, '', body].join('\r\n'));
  let text = '';
  while (!text.includes('CaughtUp')) [text] = [text + String((await once(socket, 'data'))[0])];
  const timer = () => timerOf(Number(port), socket.localPort ?? 0);
  // The keep-alive timer starts once the client has acknowledged the last frame.
  await expect.poll(async () => (await timer())?.kind).not.toBe(retransmission);
  const { kind, ms } = (await timer()) ?? { kind: null, ms: 0 };
  expect(kind).toBe(keepAlive);
  expect(ms).toBeGreaterThan(0);
  expect(ms).toBeLessThanOrEqual(5_000);
});
