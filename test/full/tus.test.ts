import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { signUp, type Person } from '../support/client.ts';
import { download } from '../support/file.ts';
import { runServer } from '../support/server-process.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { begun, offsetOf, uploadWithTus } from '../support/tus.ts';

let server: TestServer;
let ada: Person;
beforeAll(async () => {
  server = await startServer();
  ada = await signUp(server, 'ada');
});
const readBack = async (url: string) => Buffer.from(await (await download(server, url)).arrayBuffer());
/** Whether a file has exactly these bytes. */
const holds = async (url: string, content: Buffer) => (await readBack(url)).equals(content);
const idOf = (url: string) => url.split('/').at(-1) ?? '';

/** Sends the beginning of a piece and then nothing, until it is released. */
function stall(url: string, by: Person, content: Buffer, sent: number) {
  const outgoing = request(url, {
    method: 'PATCH',
    headers: {
      authorization: `Bearer ${by.token}`,
      'tus-resumable': '1.0.0',
      'upload-offset': '0',
      'content-type': 'application/offset+octet-stream',
      'content-length': content.length,
    },
  });
  outgoing.on('error', () => {});
  outgoing.write(content.subarray(0, sent));
  return outgoing;
}

/**
 * How many bytes of an upload are on the disk. Unlike HEAD, which returns the same number, this does not
 * make a node release the upload.
 */
async function storedOf(url: string): Promise<number> {
  const stored = await readFile(join(server.dataDir, 'partial-uploads', idOf(url))).catch(() => Buffer.alloc(0));
  return stored.length;
}

test('an upload survives a server that is killed while a piece arrives', async () => {
  const env = { DATABASE_URL: server.database.url, DATA_DIR: server.dataDir, JWT_KEYS: server.jwtKeys };
  const killed = runServer(env);
  const content = randomBytes(400_000);
  const url = await begun({ url: await killed.url }, ada, content.length);
  stall(url, ada, content, 150_000);
  await expect.poll(() => storedOf(url)).toBe(150_000);
  killed.kill('SIGKILL');
  await killed.ended;
  // Simulates the passage of time: no one renews the dead server's lease.
  await server.sql.query(`update leases set until = now() - interval '1 second' where name = $1`, [
    `upload:${idOf(url)}`,
  ]);
  const here = `${server.url}/api/upload/tus/${idOf(url)}`;
  expect(await offsetOf(here, ada)).toBe(150_000);
  const { answer } = await uploadWithTus(server, ada, content, { uploadUrl: here });
  expect(await holds(answer.files[0].url, content)).toBe(true);
});

// Once ------------------------------------------------------------------------------------------------------------------
