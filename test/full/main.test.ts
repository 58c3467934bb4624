import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { createDatabase } from '../support/database.ts';
import { createDataDir, readPostmaster, runServer } from '../support/server-process.ts';

const jwtKeys = generateKeySet();

test('a second signal ends the process immediately when a request delays the stop', async () => {
  const database = await createDatabase();
  onTestFinished(database.drop);
  const server = runServer({ DATABASE_URL: database.url, JWT_KEYS: jwtKeys });
  await holdUp(await server.url);
  let status: number | null | undefined;
  void server.ended.then((end) => (status = end.status));
  await vi.waitFor(
    () => {
      server.kill('SIGTERM');
      expect(status).toBe(1);
    },
    { timeout: 4_500, interval: 200 },
  );
});

/** Sends only the beginning of a request. */
async function holdUp(url: string): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  socket.write(
    'POST /graphql HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n',
  );
  // By now the server has read the headers and waits for the body.
  await once(socket, 'data');
}

test('names a port that is taken, and leaves no PostgreSQL behind', async () => {
  const dataDir = await createDataDir();
  const other = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void other.close());
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const { status, output } = await runServer({ DATA_DIR: dataDir, PORT: String(port) }).ended;
  expect(status).toBe(1);
  expect(output.trim().split('\n').at(-1)).toContain(
    `Cannot listen on HOST 127.0.0.1, PORT ${port}: listen EADDRINUSE`,
  );
  await expect(readPostmaster(dataDir)).rejects.toThrow('ENOENT');
});
