import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { signUp, type Person } from '../support/client.ts';
import { countStored, holdsBytes, readBytes, readFileNode } from '../support/file.ts';
import { racing, startServer, type TestServer } from '../support/server.ts';
import {
  begin,
  begun,
  countPartial,
  offsetOf,
  patch,
  stallPiece,
  storedOf,
  tus,
  uploadIdOf,
  uploadWithTus,
} from '../support/tus.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await startServer({ env: racing });
  otherNode = await startServer({ database: server.database });
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

const onOtherNode = (url: string) => url.replace(server.url, otherNode.url);
const countFiles = async () => (await server.sql.query('select count(*)::int as count from files')).rows[0].count;

test('the stock client uploads in pieces, and finds the file at the upload’s address', async () => {
  const content = randomBytes(300_000);
  const before = await countPartial(server);
  const { url, answer } = await uploadWithTus(server, ada, content);
  expect(answer).toEqual({
    files: [
      {
        id: expect.any(String),
        name: 'large.bin',
        contentType: 'application/octet-stream',
        size: 300_000,
        url: expect.any(String),
      },
    ],
  });
  const [file] = answer.files;
  expect(await holdsBytes(server, file.url, content)).toBe(true);
  expect(await readFileNode(ada, file.id)).toMatchObject({ name: 'large.bin', size: 300_000 });
  expect(await readFileNode(grace, file.id)).toBeNull();
  expect((await tus('GET', url, ada)).body.files).toMatchObject([{ id: file.id, name: 'large.bin' }]);
  expect(await offsetOf(url, ada)).toBe(300_000);
  expect(await countPartial(server)).toEqual(before);
  expect((await countStored(server)).incoming).toBe(0);
});

test('an interrupted upload resumes where it stopped', async () => {
  const content = randomBytes(500_000);
  const files = await countFiles();
  const url = await begun(server, ada, content.length);
  const outgoing = stallPiece(url, ada, content, 200_000);
  await expect.poll(() => storedOf(server, url)).toBe(200_000);
  outgoing.destroy();
  expect(await offsetOf(url, ada)).toBe(200_000);
  let resumedAt: number | undefined;
  const onProgress = (sent: number) => void (resumedAt ??= sent);
  const { answer } = await uploadWithTus(server, ada, content, { uploadUrl: url, onProgress });
  expect(resumedAt).toBeGreaterThanOrEqual(200_000);
  expect(await holdsBytes(server, answer.files[0].url, content)).toBe(true);
  expect(await countFiles()).toBe(files + 1);
});

test('the stock client resumes automatically when the server restarts in the middle', async () => {
  const first = await startServer({ database: server.database });
  const port = new URL(first.url).port;
  const content = randomBytes(400_000);
  let restarted: Promise<TestServer> | undefined;
  const { answer } = await uploadWithTus(first, ada, content, {
    retryDelays: Array.from({ length: 50 }, () => 100),
    onChunkComplete: (_, accepted) => {
      if (accepted < 100_000) return;
      restarted ??= first.close().then(() => startServer({ database: server.database, env: { PORT: port } }));
    },
  });
  expect((await restarted)?.url).toBe(first.url);
  expect(await holdsBytes(server, answer.files[0].url, content)).toBe(true);
});

test('a server that stops cuts off pieces in progress, and keeps the bytes received so far', async () => {
  const stopping = await startServer({ database: server.database });
  const content = randomBytes(400_000);
  const url = await begun(stopping, ada, content.length);
  const outgoing = stallPiece(url, ada, content, 150_000);
  const answered = once(outgoing, 'response');
  await expect.poll(() => storedOf(server, url)).toBe(150_000);
  const closed = stopping.close();
  const [{ headers }] = await answered;
  expect(headers).toMatchObject({ 'upload-offset': '150000', connection: 'close' });
  outgoing.destroy();
  await closed;
  expect(stopping.log.filter(({ level }) => level === 'error')).toEqual([]);
  const here = `${server.url}/api/upload/tus/${uploadIdOf(url)}`;
  const { answer } = await uploadWithTus(server, ada, content, { uploadUrl: here });
  expect(await holdsBytes(server, answer.files[0].url, content)).toBe(true);
});

test('an upload with a deferred length, and one created with its first bytes, work like any other', async () => {
  const content = randomBytes(200_000);
  const deferred = await uploadWithTus(server, ada, Readable.from([content]) as never, { uploadLengthDeferred: true });
  expect(await holdsBytes(server, deferred.answer.files[0].url, content)).toBe(true);
  const at = await begin(server, ada, content.length, { 'content-type': 'application/offset+octet-stream' });
  expect(at).toMatchObject({ status: 201 });
  const whole = await uploadWithTus(server, grace, content, { uploadDataDuringCreation: true, chunkSize: 1_000_000 });
  expect(await holdsBytes(server, whole.answer.files[0].url, content)).toBe(true);
});

test('a picture that arrives in pieces is processed like any other', async () => {
  const noise = { raw: { width: 60, height: 40, channels: 3 as const } };
  const picture = await sharp(randomBytes(60 * 40 * 3), noise)
    .withExif({ IFD0: { Artist: 'ada' } })
    .jpeg()
    .toBuffer();
  const { answer } = await uploadWithTus(server, ada, picture, { chunkSize: 1_000, metadata: { filename: 'p.jpg' } });
  const document = 'query ($id: ID!) { node(id: $id) { ... on File { width height blurhash url } } }';
  const { node } = await ada.ask(document, { id: answer.files[0].id });
  expect(node).toMatchObject({ width: 60, height: 40, blurhash: expect.any(String) });
  expect((await sharp(await readBytes(server, node.url)).metadata()).exif).toBeUndefined();
});

// Once ------------------------------------------------------------------------------------------------------------------

test('when the last piece arrives again, no second file is created, and the client learns of the first', async () => {
  const files = await countFiles();
  const content = randomBytes(1_000);
  const url = await begun(server, ada, content.length);
  const first = await patch(url, ada, 0, content);
  expect(first).toMatchObject({ status: 204, body: null });
  expect(first.headers.get('upload-offset')).toBe('1000');
  const { id } = (await tus('GET', url, ada)).body.files[0];
  expect(await patch(url, ada, 0, content)).toMatchObject({ status: 409 });
  expect(await patch(url, ada, 1_000, '')).toMatchObject({ status: 204 });
  expect((await tus('GET', url, ada)).body.files[0].id).toBe(id);
  const again = await uploadWithTus(server, ada, content, { uploadUrl: url });
  expect(again.answer.files[0].id).toBe(id);
  expect(await countFiles()).toBe(files + 1);
});

test('a client that missed the last answer can ask for the file', async () => {
  const files = await countFiles();
  const content = randomBytes(100_000);
  const url = await begun(server, ada, content.length);
  const outgoing = stallPiece(url, ada, content, 100_000);
  await expect.poll(countFiles).toBe(files + 1);
  outgoing.destroy();
  const { status, body } = await tus('GET', url, ada);
  expect(status).toBe(200);
  expect(await holdsBytes(server, body.files[0].url, content)).toBe(true);
});

test('an upload that was complete when its server died becomes one file, whichever nodes are asked for it', async () => {
  const files = await countFiles();
  for (let round = 0; round < 5; round += 1) {
    const content = randomBytes(100_000);
    const url = await begun(server, ada, content.length);
    expect(await tus('GET', url, ada)).toMatchObject({
      status: 409,
      body: { error: 'This upload is not complete yet.' },
    });
    await appendFile(join(server.dataDir, 'partial-uploads', uploadIdOf(url)), content);
    const answers = await Promise.all(
      [url, url, onOtherNode(url), onOtherNode(url)].map((each, index) =>
        index % 2 === 0 ? tus('GET', each, ada) : patch(each, ada, content.length, ''),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 204, 200, 204]);
    expect(answers[0]?.body.files[0].id).toBe(answers[2]?.body.files[0].id);
    expect(await holdsBytes(server, answers[0]?.body.files[0].url, content)).toBe(true);
  }
  expect(await countFiles()).toBe(files + 5);
});

test.each([
  ['on one node', () => server],
  ['on two', () => otherNode],
])('of two simultaneous writers %s the earlier one stops, and nothing is mixed up', async (_, node) => {
  const content = randomBytes(400_000);
  const url = await begun(server, ada, content.length);
  const slow = stallPiece(url, ada, content, 130_000);
  const answered = once(slow, 'response');
  await expect.poll(() => storedOf(server, url)).toBe(130_000);
  const there = url.replace(server.url, node().url);
  // This piece waits for the first piece to stop, and then finds that the upload already has more bytes than expected.
  expect(await patch(there, ada, 0, randomBytes(400_000))).toMatchObject({ status: 409 });
  const [{ headers }] = await answered;
  expect(headers['upload-offset']).toBe('130000');
  slow.destroy();
  expect(await offsetOf(there, ada)).toBe(130_000);
  const { answer } = await uploadWithTus(node(), ada, content, { uploadUrl: there });
  expect(await holdsBytes(server, answer.files[0].url, content)).toBe(true);
});

test('of many concurrent pieces for the same offset, exactly one is accepted', async () => {
  const contents = Array.from({ length: 6 }, (_, index) => Buffer.alloc(300_000, index));
  const url = await begun(server, ada, 300_000);
  const answers = await Promise.all(
    contents.map((content, index) => patch(index % 2 === 0 ? url : onOtherNode(url), ada, 0, content)),
  );
  expect(answers.filter(({ status }) => status === 204)).toHaveLength(1);
  const taken = answers.findIndex(({ status }) => status === 204);
  const { body } = await tus('GET', url, ada);
  expect(await holdsBytes(server, body.files[0].url, contents[taken] ?? Buffer.alloc(0))).toBe(true);
});
