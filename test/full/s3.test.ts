import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { expect, test } from 'vitest';
import { signUp } from '../support/client.ts';
import { atFileEnd } from '../support/file-end.ts';
import { download, upload } from '../support/file.ts';
import { locationOf, startS3 } from '../support/s3.ts';
import { startServer } from '../support/server.ts';

test('when a download from S3 breaks, the client’s connection is cut, not ended as if the file were complete', async () => {
  const s3 = await startS3();
  atFileEnd(() => s3.remove());
  const server = await startServer({ env: { FILE_STORE: locationOf(s3) } });
  const ada = await signUp(server, 'ada');
  const { url } = await upload(server, ada, randomBytes(30 * 1024 * 1024), 'large.bin');
  const outgoing = request(new URL(url, server.url)).end();
  const [response] = await once(outgoing, 'response');
  expect(response.statusCode).toBe(200);
  response.pause();
  await s3.goAway();
  const broken = once(response, 'error');
  response.resume();
  expect(await broken).toMatchObject([{ code: 'ECONNRESET' }]);
  await s3.comeBack();
  expect((await download(server, url)).status).toBe(200);
});
