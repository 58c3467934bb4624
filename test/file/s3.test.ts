import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { connectDatabase, disconnectDatabase, type Db } from '../../src/postgres/client.ts';
import { comparePrefix, sweepLoose } from '../../src/file/file-sweep.ts';
import { CannotStart } from '../../src/errors.ts';
import { S3Store } from '../../src/file/store/s3.ts';
import { parseS3Location } from '../../src/file/store/s3-location.ts';
import { createGroup, say } from '../support/chat.ts';
import { signUp, type Data, type Person } from '../support/client.ts';
import {
  countStored,
  download,
  formOf,
  nothingInline,
  postFiles,
  postGraphqlForm,
  postPieces,
  readFileNode,
  upload,
} from '../support/file.ts';
import { deleteMessage } from '../support/message.ts';
import { openProxy } from '../support/proxy.ts';
import { locationOf, startS3, type S3 } from '../support/s3.ts';
import { begun, offsetOf, patch, tus } from '../support/tus.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { atFileEnd } from '../support/file-end.ts';

let s3: S3;
let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
let sweeping: { db: Db; store: S3Store };
beforeAll(async () => {
  s3 = await startS3();
  server = await startServer({ env: { FILE_STORE: locationOf(s3), ...nothingInline } });
  otherNode = await startNode();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  const { url } = server.database;
  const db = connectDatabase({ url, maxConnections: 2, statementTimeoutMs: 10_000, onError: () => {} });
  const incoming = join(server.dataDir, 'files/incoming');
  sweeping = { db, store: new S3Store(parseS3Location(locationOf(s3)), { incoming, report: () => {} }) };
});
atFileEnd(() => s3.remove());
atFileEnd(() => disconnectDatabase(sweeping.db));

/** Starts a node as if on another machine: it shares the database and the bucket with the first node, but no disk. */
async function startNode(env: Record<string, string> = {}): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-node-'));
  atFileEnd(() => rm(folder, { recursive: true, force: true }));
  return startServer({
    database: server.database,
    env: { FILE_STORE: locationOf(s3), DATA_DIR: folder, ...nothingInline, ...env },
  });
}

const content = 'The Analytical Engine weaves algebraic patterns';

async function share(name = 'engine.txt', bytes: Parameters<typeof upload>[2] = content) {
  const chatId = await createGroup(ada, [grace]);
  const { id } = await upload(server, ada, bytes, name);
  const messageId = await say(ada, chatId, 'look', { fileIds: [id] });
  const { url } = await readFileNode(grace, id);
  return { chatId, messageId, id, url };
}

const stateOf = async () => ({
  keys: (await s3.listKeys()).toSorted(),
  rows: (await server.sql.query('select count(*)::int as count from files')).rows[0].count,
  local: await countStored(server),
  unfinished: await s3.listUploads(),
});

test('a file that is uploaded to one node is served by every other, and is on none of their disks', async () => {
  const { url } = await share();
  for (const node of [server, otherNode]) {
    const response = await download(node, url);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-length': String(content.length),
      'content-disposition': 'inline; filename="engine.txt"',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
    });
    expect(await response.text()).toBe(content);
  }
  expect(await countStored(server)).toEqual({ kept: 0, incoming: 0 });
});

test('HEAD, Range, If-Range and If-None-Match work as they do from a disk', async () => {
  const { url } = await share();
  const etag = (await download(server, url)).headers.get('etag') ?? '';
  const head = await download(server, url, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '47', '']);
  const known = await download(server, url, { headers: { 'if-none-match': etag } });
  expect([known.status, await known.text()]).toEqual([304, '']);
  const ranges: [string, number, string, string | null][] = [
    ['bytes=0-2', 206, 'The', 'bytes 0-2/47'],
    ['bytes=-8', 206, 'patterns', 'bytes 39-46/47'],
    ['bytes=39-1000', 206, 'patterns', 'bytes 39-46/47'],
    ['bytes=47-', 416, '', 'bytes */47'],
    ['bytes=5-2', 200, content, null],
  ];
  for (const [range, status, text, contentRange] of ranges) {
    const response = await download(server, url, { headers: { range } });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-range')).toBe(contentRange);
    expect(await response.text()).toBe(text);
  }
  const other = await download(server, url, { headers: { range: 'bytes=0-2', 'if-range': '"other"' } });
  expect(other.status).toBe(200);
  await other.text();
});

test('identical files are in the bucket once, and are deleted with the last message that has them', async () => {
  const before = (await stateOf()).keys;
  const [one, other] = [await share('one.txt', 'the same bytes'), await share('other.txt', 'the same bytes')];
  expect((await s3.listKeys()).length).toBe(before.length + 1);
  await deleteMessage(ada, one.messageId);
  await sweepLoose(sweeping, 100);
  expect((await download(server, one.url)).status).toBe(404);
  expect(await (await download(otherNode, other.url)).text()).toBe('the same bytes');
  await deleteMessage(ada, other.messageId);
  await sweepLoose(sweeping, 100);
  expect((await stateOf()).keys).toEqual(before);
});

test('a picture’s thumbnails are stored and deleted with it', async () => {
  const before = (await stateOf()).keys;
  const red = { create: { width: 800, height: 600, channels: 3 as const, background: 'red' } };
  const { id, messageId } = await share('red.png', new Uint8Array(await sharp(red).png().toBuffer()));
  expect((await s3.listKeys()).length).toBe(before.length + 3);
  const document = 'query ($id: ID!) { node(id: $id) { ... on File { width height thumbnailUrl(size: SMALL) } } }';
  const { node }: Data = await grace.ask(document, { id });
  expect(node).toMatchObject({ width: 800, height: 600 });
  const thumbnail = await (await download(otherNode, node.thumbnailUrl)).bytes();
  expect(await sharp(thumbnail).metadata()).toMatchObject({ format: 'webp', width: 160, height: 120 });
  await deleteMessage(ada, messageId);
  // The first sweep deletes the picture, and the second one deletes its thumbnails.
  await sweepLoose(sweeping, 100);
  await sweepLoose(sweeping, 100);
  expect((await stateOf()).keys).toEqual(before);
});

test('bytes without a row are swept, and rows without bytes are marked', async () => {
  const staged = await sweeping.store.stage(
    (async function* () {
      yield Buffer.from('nobody’s');
    })(),
  );
  await staged.keep();
  const keyOfHash = `${staged.hash.slice(0, 2)}/${staged.hash.slice(2)}`;
  expect(await s3.listKeys()).toContain(keyOfHash);
  await comparePrefix(sweeping, staged.hash.slice(0, 2));
  expect(await s3.listKeys()).not.toContain(keyOfHash);
  const { id } = await upload(server, ada, 'lost');
  const [hash = ''] = (await server.sql.query(`select encode(hash, 'hex') as hash from blobs where size = 4`)).rows.map(
    (row) => String(row.hash),
  );
  await sweeping.store.remove(hash);
  expect(await comparePrefix(sweeping, hash.slice(0, 2))).toBe(1);
  expect(await readFileNode(ada, id)).not.toBeNull();
  await upload(server, grace, 'lost');
  expect(await comparePrefix(sweeping, hash.slice(0, 2))).toBe(0);
});

test('an aborted upload leaves nothing, on the disk or in the bucket', async () => {
  const before = await stateOf();
  const outgoing = request(`${server.url}/api/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ada.token}`, 'content-type': 'multipart/form-data; boundary=b' },
  });
  outgoing.on('error', () => {});
  outgoing.write(formOf(Buffer.alloc(500_000)).subarray(0, 300_000));
  await expect.poll(async () => (await countStored(server)).incoming).toBe(1);
  outgoing.destroy();
  await expect.poll(stateOf).toEqual(before);
});

test('while S3 is unreachable, uploads and downloads get 503 and change nothing, everything else works, and they recover afterwards', async () => {
  const { url } = await share('before.txt', 'before the outage');
  const before = await stateOf();
  async function* slowForm() {
    const form = formOf(randomBytes(8 * 1024 * 1024));
    yield form.subarray(0, 1_000_000);
    await expect.poll(async () => (await countStored(server)).incoming).toBe(1);
    // S3 goes away in the middle of the upload.
    await s3.goAway();
    yield form.subarray(1_000_000);
  }
  const refused = await postPieces(server.url, ada.token, slowForm());
  expect(refused).toMatchObject({
    status: 503,
    body: { error: 'The file store is unavailable: try again.' },
  });
  const byGraphql = await postGraphqlForm(server, ada);
  expect(byGraphql.body.errors).toMatchObject([{ message: refused.body.error, extensions: { code: 'INTERNAL' } }]);
  const unread = await download(server, url);
  expect([unread.status, unread.headers.get('retry-after')]).toEqual([503, '10']);
  expect(await unread.json()).toEqual(refused.body);
  expect(Object.fromEntries(unread.headers)).not.toHaveProperty('content-disposition');
  expect((await download(server, url, { method: 'HEAD' })).status).toBe(200);
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  expect(await readFileNode(ada, (await ada.ask('{ viewer { user { id } } }')).viewer.user.id)).not.toBeNull();
  const told = server.log.filter(({ msg }) => msg === 'the file store is not available');
  expect(told[0]).toMatchObject({ level: 'warn', reason: expect.stringContaining('ECONNREFUSED') });
  expect(JSON.stringify(server.log)).not.toContain('S3RVER');
  await s3.comeBack();
  expect(await stateOf()).toEqual(before);
  expect(await (await download(server, url)).text()).toBe('before the outage');
  expect(await (await download(server, (await upload(server, ada, 'after it')).url)).text()).toBe('after it');
});

test('an upload in pieces that completes while S3 is unreachable need not be sent again', async () => {
  const bytes = randomBytes(200_000);
  const url = await begun(server, ada, bytes.length);
  expect((await patch(url, ada, 0, bytes.subarray(0, 150_000))).status).toBe(204);
  await s3.goAway();
  expect((await patch(url, ada, 150_000, bytes.subarray(150_000))).status).toBe(503);
  await s3.comeBack();
  expect(await offsetOf(url, ada)).toBe(200_000);
  const { status, body } = await tus('GET', url, ada);
  expect(status).toBe(200);
  const response = await download(otherNode, body.files[0].url);
  expect(Buffer.from(await response.bytes()).equals(bytes)).toBe(true);
});

test('while S3 is slow, no database connection is held', async () => {
  const proxy = await openProxy(s3.url);
  const slow = await startNode({
    FILE_STORE: locationOf({ ...s3, url: proxy.through(s3.url) }),
    DATABASE_POOL_SIZE: '1',
  });
  const held = proxy.hold('PUT /');
  const uploading = postFiles(slow, ada, [{ name: 'slow.txt', content: 'a slow one' }]);
  await held.caught;
  const { data } = await slow.post('{ viewer { user { username } } }', {}, { token: ada.token });
  expect(data.viewer.user.username).toBe('ada');
  held.release();
  expect((await uploading).status).toBe(201);
});

test('a server whose bucket does not exist does not start, and says so in one sentence', async () => {
  const env = { FILE_STORE: locationOf({ ...s3, bucket: 'no-such-bucket' }, '&region=us-east-1') };
  const starting = startServer({ database: server.database, env });
  await expect(starting).rejects.toThrow(CannotStart);
  await expect(starting).rejects.toThrow(/^FILE_STORE, bucket no-such-bucket: there is no such bucket\.$/);
});
