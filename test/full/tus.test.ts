import { randomBytes } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { signUp, type Person } from '../support/client.ts';
import { holdsBytes } from '../support/file.ts';
import { runServer } from '../support/server-process.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { begun, offsetOf, stallPiece, storedOf, uploadIdOf, uploadWithTus } from '../support/tus.ts';

let server: TestServer;
let ada: Person;
beforeAll(async () => {
  server = await startServer();
  ada = await signUp(server, 'ada');
});

test('an upload survives a server that is killed while a piece arrives', async () => {
  const env = { DATABASE_URL: server.database.url, DATA_DIR: server.dataDir, JWT_KEYS: server.jwtKeys };
  const killed = runServer(env);
  const content = randomBytes(400_000);
  const url = await begun({ url: await killed.url }, ada, content.length);
  stallPiece(url, ada, content, 150_000);
  await expect.poll(() => storedOf(server, url)).toBe(150_000);
  killed.kill('SIGKILL');
  await killed.ended;
  // This simulates the passage of time, in which the dead server's lease is not renewed.
  await server.sql.query(`update leases set until = now() - interval '1 second' where name = $1`, [
    `upload:${uploadIdOf(url)}`,
  ]);
  const here = `${server.url}/api/upload/tus/${uploadIdOf(url)}`;
  expect(await offsetOf(here, ada)).toBe(150_000);
  const { answer } = await uploadWithTus(server, ada, content, { uploadUrl: here });
  expect(await holdsBytes(server, answer.files[0].url, content)).toBe(true);
});
