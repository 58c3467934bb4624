import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Connection } from '../../src/postgres/connection.ts';

/** Opens a server that never answers. `parameters` resolves to the startup parameters of its first connection. */
async function openSilentServer() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const parameters = once(server, 'connection').then(async ([socket]) => {
    onTestFinished(() => socket.destroy());
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    const fields = bytes.toString('latin1', 8).split('\0');
    return Object.fromEntries(
      fields.flatMap((field, at) => (at % 2 === 0 && field !== '' ? [[field, fields[at + 1]]] : [])),
    );
  });
  return { url: `postgres://ada@127.0.0.1:${port}/parley`, parameters };
}

test('a connection begins with parameters that any PgBouncer accepts, and with no others', async () => {
  const { url, parameters } = await openSilentServer();
  const client = new Connection({ connectionString: url, application_name: 'parley', connectionTimeoutMillis: 200 });
  await expect(client.connect()).rejects.toThrow('timeout');
  expect(await parameters).toEqual({
    user: 'ada',
    database: 'parley',
    application_name: 'parley',
    client_encoding: 'UTF8',
    DateStyle: 'ISO, MDY',
    TimeZone: 'UTC',
    standard_conforming_strings: 'on',
  });
});
