import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { startServer } from '../support/server.ts';

test('a connection whose headers do not arrive within 10 seconds is closed', async () => {
  const { url } = await startServer();
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const begun = performance.now();
  socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n');
  socket.resume();
  await once(socket, 'close', { signal: AbortSignal.timeout(18_000) });
  expect(performance.now() - begun).toBeGreaterThan(9_000);
});
