import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { signUp, type Person } from '../support/client.ts';
import { countStored, download, formOf, postFiles, postPieces, readFileNode, upload } from '../support/file.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

const countRows = async () => (await server.sql.query('select count(*)::int as count from files')).rows[0].count;

test('an upload returns the file, which only its uploader can read', async () => {
  const { status, body } = await postFiles(server, ada, [{ name: 'notes.txt', content: 'what hath been wrought' }]);
  expect(status).toBe(201);
  expect(body).toEqual({
    files: [
      { id: expect.any(String), name: 'notes.txt', contentType: 'text/plain', size: 22, url: expect.any(String) },
    ],
  });
  const [file] = body.files;
  expect(await (await download(server, file.url)).text()).toBe('what hath been wrought');
  expect(await readFileNode(ada, file.id)).toMatchObject({ name: 'notes.txt', size: 22 });
  expect(await readFileNode(grace, file.id)).toBeNull();
});

test('one request can contain up to ten files, which keep their order', async () => {
  const files = Array.from({ length: 10 }, (_, index) => ({ name: `${index}.txt`, content: `number ${index}` }));
  const { status, body } = await postFiles(server, ada, files);
  expect(status).toBe(201);
  expect(body.files.map(({ name }: { name: string }) => name)).toEqual(files.map(({ name }) => name));
  for (const [index, { url }] of body.files.entries()) {
    expect(await (await download(server, url)).text()).toBe(`number ${index}`);
  }
});

test('identical files are stored once, under their hash, however many users send them', async () => {
  const content = randomBytes(100_000);
  const before = await countStored(server);
  const adas = await upload(server, ada, content, 'a.bin');
  const graces = await Promise.all([1, 2, 3].map(() => upload(server, grace, content, 'g.bin')));
  expect(new Set([adas, ...graces].map(({ id }) => id)).size).toBe(4);
  expect(await countStored(server)).toEqual({ kept: before.kept + 1, incoming: 0 });
  const hash = createHash('sha256').update(content).digest('hex');
  const stored = await readFile(join(server.dataDir, 'files', hash.slice(0, 2), hash.slice(2)));
  expect(stored.equals(content)).toBe(true);
});

test('files arrive unchanged, wherever the network splits them', async () => {
  // The content is full of boundary prefixes.
  const content = Buffer.from('\r\n--B\r\n-\r--\n'.repeat(40_000));
  const body = Buffer.concat([formOf(content), Buffer.from('an epilogue')]);
  for (const size of [1_009, 65_536, body.length]) {
    const pieces = Array.from({ length: Math.ceil(body.length / size) }, (_, index) =>
      body.subarray(index * size, (index + 1) * size),
    );
    const { status, body: answer } = await postPieces(server.url, ada.token, pieces);
    expect(status).toBe(201);
    const read = await (await download(server, answer.files[0].url)).bytes();
    expect(content.equals(read)).toBe(true);
  }
});

test('uploading requires a signed-in user', async () => {
  const before = await countRows();
  const nobody = await postFiles(server, null, [{ name: 'a.txt', content: 'hello' }]);
  expect(nobody.status).toBe(401);
  expect(nobody.body).toMatchObject({ status: 401, code: 'UNAUTHENTICATED', error: nobody.body.detail });
  expect(nobody.body.detail).toContain('access token');
  expect(nobody.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  expect(nobody.headers.get('access-control-allow-origin')).toBe('*');
  const forged = await postFiles(server, { ...ada, token: `${ada.token}x` }, [{ name: 'a.txt', content: 'hello' }]);
  expect(forged.status).toBe(401);
  expect(await countRows()).toBe(before);
});
