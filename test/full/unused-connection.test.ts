import { expect, test } from 'vitest';
import { openRaw, refusalOf } from '../support/raw-http.ts';
import { startServer } from '../support/server.ts';

const request = 'GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';
const tooLate = { status: 408, message: 'The headers did not arrive within 10 seconds.' };

test('a connection that has sent nothing is idle: it is closed without an answer, or answered when it is used', async () => {
  await using patient = await startServer();
  await using impatient = await startServer({ env: { KEEP_ALIVE_TIMEOUT: '1s' } });
  const unused = openRaw(patient.url);
  const late = openRaw(patient.url);
  const idle = openRaw(impatient.url);
  const slow = openRaw(patient.url);
  slow.socket.write('GET /livez HTTP/1.1\r\n');
  expect(await refusalOf(slow)).toEqual(tooLate);
  await idle.closed;
  expect(idle.answer()).toBe('');
  // The server examined these two at the same time as the slow one.
  expect([unused.answer(), late.answer()]).toEqual(['', '']);
  unused.socket.write(request);
  await unused.closed;
  expect(unused.answer()).toMatch(/^HTTP\/1\.1 200 /);
  late.socket.write('GET /livez HTTP/1.1\r\n');
  expect(await refusalOf(late)).toEqual(tooLate);
});

test('a connection that sends only empty lines cannot stay open for longer than one that sends nothing', async () => {
  await using server = await startServer({ env: { KEEP_ALIVE_TIMEOUT: '14s' } });
  const evasive = openRaw(server.url);
  const slow = openRaw(server.url);
  slow.socket.write('GET /livez HTTP/1.1\r\n');
  await slow.closed;
  evasive.socket.write('\r\n');
  await evasive.closed;
  expect(evasive.answer()).toBe('');
});

test('a request whose headers came too late has no effect, even if the rest of it arrives', async () => {
  await using server = await startServer();
  const connection = openRaw(server.url);
  connection.socket.write('GET /livez HTTP/1.1\r\nhost: x\r\n');
  await expect.poll(connection.answer, { timeout: 15_000 }).toContain('HTTP/1.1 408');
  connection.socket.write('\r\n');
  await connection.closed;
  expect(connection.answer().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 408']);
});
