import { beforeAll, expect, test } from 'vitest';
import { signUp, type Person } from '../support/client.ts';
import { runServer } from '../support/server-process.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { begun, countPartial, offsetOf, patch, tus, uploadWithTus } from '../support/tus.ts';

let server: TestServer;
let ada: Person;
beforeAll(async () => {
  server = await startServer({ env: { MAX_UPLOAD_BYTES: '1000000', USER_QUOTA_BYTES: '100000000' } });
  ada = await signUp(server, 'ada');
});
const nothing = { rows: 0, stored: 0 };

test('on a full disk a piece gets 507; the bytes received so far are kept, and canceling an upload makes room', async () => {
  const full = runServer({ DATABASE_URL: server.database.url, DATA_DIR: server.dataDir, JWT_KEYS: server.jwtKeys }, [
    '/bin/bash',
    '-c',
    `ulimit -f 512 && exec "${process.execPath}" src/main.ts`,
  ]);
  const there = { url: await full.url };
  const url = await begun(there, ada, 2_000_000);
  expect(await patch(url, ada, 0, Buffer.alloc(100_000, 'x'))).toMatchObject({ status: 204 });
  expect(await patch(url, ada, 100_000, Buffer.alloc(1_900_000))).toMatchObject({
    status: 507,
    body: { error: expect.stringContaining('no room') },
  });
  expect(await offsetOf(url, ada)).toBeGreaterThanOrEqual(100_000);
  expect((await tus('DELETE', url, ada)).status).toBe(204);
  expect(await countPartial(server)).toEqual(nothing);
  expect((await uploadWithTus({ url: there.url }, ada, Buffer.from('small'))).answer.files).toMatchObject([
    { size: 5 },
  ]);
}, 60_000);

// Bad requests -----------------------------------------------------------------------------------------------------------

// Stock clients ---------------------------------------------------------------------------------------------------------
