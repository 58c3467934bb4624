import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { connectDatabase, disconnectDatabase, type Db } from '../../src/postgres/client.ts';
import { sweepLoose } from '../../src/file/file-sweep.ts';
import { LocalStore } from '../../src/file/store/local.ts';
import { createGroup, removeMember, say } from '../support/chat.ts';
import { signUp, type Data, type Person } from '../support/client.ts';
import { countStored, download, postFiles, upload } from '../support/file.ts';
import { deleteMessage } from '../support/message.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { atFileEnd } from '../support/file-end.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let db: Db;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  db = connectDatabase({ url: server.database.url, maxConnections: 2, statementTimeoutMs: 10_000, onError: () => {} });
});
atFileEnd(() => disconnectDatabase(db));

type Format = 'jpeg' | 'png' | 'webp' | 'gif' | 'avif' | 'tiff';

/** Draws a picture that is red on the left and blue on the right. */
function draw(width: number, height: number) {
  const half = { create: { width: Math.ceil(width / 2), height, channels: 3 as const, background: 'blue' } };
  return sharp({ create: { width, height, channels: 3, background: 'red' } }).composite([
    { input: half, gravity: 'east' },
  ]);
}

const bytesOf = async (picture: Sharp, format: Format) => new Uint8Array(await picture.toFormat(format).toBuffer());

async function describe(by: Person, id: string): Promise<Data> {
  const document = `query ($id: ID!) {
    node(id: $id) {
      ... on File { contentType size width height blurhash note url small: thumbnailUrl(size: SMALL) large: thumbnailUrl(size: LARGE) }
    }
  }`;
  return (await by.ask(document, { id })).node;
}

const read = async (url: string) => Buffer.from(await (await download(server, url)).arrayBuffer());

test.each<[Format, string]>([
  ['jpeg', 'image/jpeg'],
  ['png', 'image/png'],
  ['webp', 'image/webp'],
  ['gif', 'image/gif'],
  ['avif', 'image/avif'],
  ['tiff', 'image/tiff'],
])('a picture as %s has its size, a blurhash and two thumbnails', async (format, contentType) => {
  const bytes = await bytesOf(draw(1_200, 800), format);
  const { id } = await upload(server, ada, bytes, `picture.${format}`);
  const file = await describe(ada, id);
  expect(file).toMatchObject({ contentType, width: 1_200, height: 800, blurhash: expect.stringMatching(/^\S{28}$/) });
  for (const [url, width, height] of [
    [file.small, 160, 107],
    [file.large, 640, 427],
  ]) {
    const response = await download(server, url);
    expect(response.headers.get('content-type')).toBe('image/webp');
    expect(response.headers.get('content-disposition')).toBe(`inline; filename="picture.${format}.webp"`);
    const thumbnail = sharp(Buffer.from(await response.arrayBuffer()));
    expect(await thumbnail.metadata()).toMatchObject({ format: 'webp', width, height });
  }
});

test('a picture without metadata is kept as it is', async () => {
  const bytes = await bytesOf(draw(300, 200), 'jpeg');
  const { url } = await upload(server, ada, bytes, 'plain.jpg');
  expect((await read(url)).equals(bytes)).toBe(true);
});

test('a picture is recognized, however much data precedes its dimensions', async () => {
  const text = Buffer.concat([Buffer.from('tEXtComment\0'), Buffer.alloc(50_000, 'x')]);
  const chunk = Buffer.alloc(text.length + 8);
  chunk.writeUInt32BE(text.length - 4, 0);
  text.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(text), text.length + 4);
  const png = Buffer.from(await bytesOf(draw(30, 20), 'png'));
  // The new chunk goes after the signature and the first chunk.
  const verbose = new Uint8Array(Buffer.concat([png.subarray(0, 33), chunk, png.subarray(33)]));
  const { id } = await upload(server, ada, verbose, 'verbose.png');
  const file = await describe(ada, id);
  expect(file).toMatchObject({ contentType: 'image/png', width: 30, height: 20 });
  expect((await read(file.url)).includes('xxxx')).toBe(false);
});

test('a small picture is not enlarged', async () => {
  const { id } = await upload(server, ada, await bytesOf(draw(20, 10), 'png'), 'dot.png');
  const file = await describe(ada, id);
  for (const url of [file.small, file.large]) {
    expect(await sharp(await read(url)).metadata()).toMatchObject({ width: 20, height: 10 });
  }
});

test.each<Format>(['jpeg', 'png', 'webp', 'avif'])(
  'the served copy of a picture as %s names neither the location nor the camera',
  async (format) => {
    const secret = 'a secret camera';
    const exif = { IFD0: { Model: secret }, IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '51/1 30/1 0/1' } };
    const bytes = await bytesOf(draw(200, 100).withExif(exif), format);
    expect(Buffer.from(bytes).includes(secret)).toBe(true);
    const { id } = await upload(server, ada, bytes, `holiday.${format}`);
    const file = await describe(ada, id);
    expect(file).toMatchObject({ width: 200, height: 100 });
    for (const url of [file.url, file.small, file.large]) {
      const served = await read(url);
      expect(served.includes(secret)).toBe(false);
      expect((await sharp(served).metadata()).exif).toBeUndefined();
    }
    expect((await read(file.url)).length).toBe(file.size);
  },
);

/**
 * Returns a TIFF of four gray pixels, with tags that name the camera. The test builds it by hand, because sharp does
 * not write such tags.
 */
function drawTiff(camera: string): Uint8Array<ArrayBuffer> {
  const [short, long, ascii] = [3, 4, 2];
  const text = Buffer.from(`${camera}\0`);
  const tags = [
    [256, short, 1, 2],
    [257, short, 1, 2],
    [258, short, 1, 8],
    [259, short, 1, 1],
    [262, short, 1, 1],
    [272, ascii, text.length, 142],
    [273, long, 1, 134],
    [277, short, 1, 1],
    [278, short, 1, 2],
    [279, long, 1, 4],
  ] as const;
  const head = Buffer.alloc(142);
  head.write('II*\0', 'latin1');
  head.writeUInt32LE(8, 4);
  head.writeUInt16LE(tags.length, 8);
  for (const [index, [tag, type, count, value]] of tags.entries()) {
    head.writeUInt16LE(tag, 10 + index * 12);
    head.writeUInt16LE(type, 12 + index * 12);
    head.writeUInt32LE(count, 14 + index * 12);
    head.writeUInt32LE(value, 18 + index * 12);
  }
  return new Uint8Array(Buffer.concat([head, text]));
}

test('metadata tags of a TIFF are removed, and its samples stay the same', async () => {
  const secret = 'a secret camera';
  const { id } = await upload(server, ada, drawTiff(secret), 'scan.tiff');
  const file = await describe(ada, id);
  expect(file).toMatchObject({ contentType: 'image/tiff', width: 2, height: 2 });
  const served = await read(file.url);
  expect(await sharp(served).metadata()).toMatchObject({ format: 'tiff', width: 2 });
  expect(served.includes(secret)).toBe(false);
});

test('a picture that is stored rotated is turned upright, because its orientation tag is removed too', async () => {
  const { id } = await upload(
    server,
    ada,
    await bytesOf(draw(200, 100).withMetadata({ orientation: 6 }), 'jpeg'),
    'a.jpg',
  );
  const file = await describe(ada, id);
  expect(file).toMatchObject({ width: 100, height: 200 });
  for (const url of [file.url, file.small]) {
    const { data, info } = await sharp(await read(url))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(info.height).toBeGreaterThan(info.width);
    // When the picture is turned clockwise, its left side is at the top.
    expect(data[0]).toBeGreaterThan(200);
    expect(data.at(-1)).toBeGreaterThan(200);
  }
});

test('a picture of more than 50 million pixels is treated like any other', async () => {
  const large = await bytesOf(
    sharp({ create: { width: 10_000, height: 6_000, channels: 3, background: 'red' } }),
    'png',
  );
  const { id } = await upload(server, ada, large, 'large.png');
  const file = await describe(ada, id);
  expect(file).toMatchObject({ width: 10_000, height: 6_000, note: null });
  expect(await sharp(await read(file.small)).metadata()).toMatchObject({ width: 160, height: 96 });
});

test('a picture over the decoding limit is kept without thumbnails, and its note says why', async () => {
  const claim = Buffer.from(await bytesOf(draw(20, 10), 'png'));
  claim.writeUInt32BE(60_000, 16);
  claim.writeUInt32BE(60_000, 20);
  claim.writeUInt32BE(crc32(claim.subarray(12, 29)), 29);
  const { status, body } = await postFiles(server, ada, [{ name: 'bomb.png', content: new Uint8Array(claim) }]);
  expect({ status, files: body.files }).toMatchObject({
    status: 201,
    files: [{ note: expect.stringContaining('No thumbnails') }],
  });
  const file = await describe(ada, body.files[0].id);
  expect(file).toMatchObject({ contentType: 'image/png', width: null, small: null, note: body.files[0].note });
  expect((await read(file.url)).equals(claim)).toBe(true);
});

test('a picture that cannot be decoded at all is refused, and leaves nothing behind', async () => {
  const whole = await bytesOf(draw(400, 400), 'png');
  const before = await countStored(server);
  const content = new Uint8Array(whole.subarray(0, 50));
  const { status, body } = await postFiles(server, ada, [{ name: 'broken.png', content }]);
  expect(status).toBe(400);
  expect(body.error).toContain('damaged picture');
  expect(await countStored(server)).toEqual(before);
  expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('a file that is not a picture has no picture fields', async () => {
  const { id } = await upload(server, ada, 'words', 'picture.png');
  expect(await describe(ada, id)).toMatchObject({
    contentType: 'text/plain',
    width: null,
    height: null,
    blurhash: null,
    small: null,
    large: null,
  });
});

test('a thumbnail’s link stops working when its user may no longer see it, and is valid for that thumbnail alone', async () => {
  const chatId = await createGroup(ada, [grace]);
  const { id } = await upload(server, ada, await bytesOf(draw(500, 300), 'png'), 'a.png');
  await say(ada, chatId, 'look', { fileIds: [id] });
  const { small } = await describe(grace, id);
  expect((await download(server, small)).status).toBe(200);
  for (const other of [small.replace('size=SMALL', 'size=LARGE'), small.replace('&size=SMALL', ''), `${small}x`]) {
    expect((await download(server, other)).status).toBe(403);
  }
  expect((await download(server, small.replace('size=SMALL', 'size=toString'))).status).toBe(403);
  await removeMember(server, chatId, grace);
  expect((await download(server, small)).status).toBe(404);
});

test('a picture’s thumbnails are deleted with it', async () => {
  const chatId = await createGroup(ada, [grace]);
  const before = await countStored(server);
  const { id } = await upload(server, ada, await bytesOf(draw(701, 303), 'png'), 'a.png');
  const messageId = await say(ada, chatId, '', { fileIds: [id] });
  const { small } = await describe(ada, id);
  const sweeping = { db, store: new LocalStore(join(server.dataDir, 'files')) };
  await sweepLoose(sweeping, 100);
  expect(await countStored(server)).toEqual({ kept: before.kept + 3, incoming: 0 });
  expect((await download(server, small)).status).toBe(200);
  await deleteMessage(ada, messageId);
  expect((await download(server, small)).status).toBe(404);
  while ((await sweepLoose(sweeping, 100)) > 0);
  expect((await countStored(server)).kept).toBe(before.kept);
});
