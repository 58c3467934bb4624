import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { signUp } from '../support/client.ts';
import { largeForm, postPieces } from '../support/file.ts';
import { locationOf, startS3 } from '../support/s3.ts';
import { runServer } from '../support/server-process.ts';
import { startServer } from '../support/server.ts';
import { atFileEnd } from '../support/file-end.ts';
import { begun, patch, tus, uploadWithTus } from '../support/tus.ts';

const s3 = await startS3();
atFileEnd(() => s3.remove());
const server = await startServer();
const ada = await signUp(server, 'ada');

/** Returns the peak memory of a process so far. */
async function readPeakBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

test('a gigabyte passes without being held in memory', async () => {
  const size = 1024 * 1024 * 1024;
  const node = runServer(
    {
      DATABASE_URL: server.database.url,
      DATA_DIR: server.dataDir,
      JWT_KEYS: server.jwtKeys,
      MAX_UPLOAD_BYTES: String(size),
    },
    [process.execPath, '--expose-gc', '--import', './test/support/fault-heap.ts', 'src/main.ts'],
  );
  const url = await node.url;
  const readHeap = async (count: number) => {
    node.kill('SIGUSR2');
    return Number(new RegExp(`heap ${count}: (\\d+) bytes`).exec(await node.said(`heap ${count}: `))?.[1]);
  };
  // Warm up first, so that the memory for the program's own code does not count.
  expect((await postPieces(url, ada.token, largeForm(10_000_000))).status).toBe(201);
  const heap = await readHeap(1);
  const peak = await readPeakBytes(node.pid);
  const { status, body } = await postPieces(url, ada.token, largeForm(size));
  expect(body).toMatchObject({ files: [{ size }] });
  expect(status).toBe(201);
  expect((await readHeap(2)) - heap).toBeLessThan(size / 100);
  expect((await readPeakBytes(node.pid)) - peak).toBeLessThan(size / 10);
}, 120_000);

test('a large file passes to S3 and back without being held in memory', async () => {
  const size = 120 * 1024 * 1024;
  const child = runServer({
    DATABASE_URL: server.database.url,
    DATA_DIR: server.dataDir,
    JWT_KEYS: server.jwtKeys,
    MAX_UPLOAD_BYTES: String(size),
    FILE_STORE: locationOf(s3, '&region=us-east-1'),
    AWS_ACCESS_KEY_ID: 'S3RVER',
    AWS_SECRET_ACCESS_KEY: 'S3RVER',
  });
  const url = await child.url;
  // The first file permanently adds buffers and compiled code to the memory in use. A larger file does not add any
  // more.
  expect((await postPieces(url, ada.token, largeForm(size / 2))).status).toBe(201);
  const before = await readPeakBytes(child.pid);
  const { status, body } = await postPieces(url, ada.token, largeForm(size));
  expect(status).toBe(201);
  const response = await fetch(new URL(body.files[0].url, url));
  let received = 0;
  for await (const chunk of response.body ?? []) received += chunk.length;
  expect(received).toBe(size);
  expect((await readPeakBytes(child.pid)) - before).toBeLessThan(size / 3);
}, 90_000);

test('a large upload passes without being held in memory', async () => {
  const size = 300 * 1024 * 1024;
  const linus = await signUp(server, 'torvalds');
  const env = { DATABASE_URL: server.database.url, DATA_DIR: server.dataDir, JWT_KEYS: server.jwtKeys };
  const large = runServer({ ...env, MAX_UPLOAD_BYTES: String(size) });
  const there = { url: await large.url };
  await uploadWithTus(there, linus, Buffer.alloc(1_000));
  const before = await readPeakBytes(large.pid);
  const url = await begun(there, linus, size);
  const chunk = new Uint8Array(64 * 1024);
  let left = size;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (left === 0) return controller.close();
      left -= chunk.length;
      controller.enqueue(chunk);
    },
  });
  expect(await patch(url, linus, 0, body)).toMatchObject({ status: 204 });
  expect((await tus('GET', url, linus)).body.files).toMatchObject([{ size }]);
  expect((await readPeakBytes(large.pid)) - before).toBeLessThan(size / 2);
}, 60_000);
