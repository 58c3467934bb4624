import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { signUp, type Person } from '../support/client.ts';
import { countStored, download, postFiles, upload } from '../support/file.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

let server: TestServer;
let ada: Person;
beforeAll(async () => {
  server = await sharedServer();
  ada = await signUp(server, 'ada');
});

const secret = 'a secret place';

type Format = 'jpeg' | 'png' | 'webp' | 'gif' | 'avif';

async function draw(format: Format): Promise<Buffer> {
  return sharp({ create: { width: 40, height: 20, channels: 3, background: 'red' } })
    .toFormat(format)
    .toBuffer();
}

/** Uploads a file. Returns the served bytes and their content type. */
async function serve(name: string, content: Buffer): Promise<{ served: Buffer; contentType: string }> {
  const { url, contentType } = await upload(server, ada, new Uint8Array(content), name);
  return { served: Buffer.from(await (await download(server, url)).arrayBuffer()), contentType };
}

const insert = (bytes: Buffer, at: number, more: Buffer) =>
  Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);

/** Each function adds the secret to a picture, after the part that every decoder requires to come first. */
const additions: Record<string, [Format, (picture: Buffer) => Buffer]> = {
  'a comment in a GIF': [
    'gif',
    (gif) =>
      insert(
        gif,
        gif.length - 1,
        Buffer.concat([Buffer.from([0x21, 0xfe, secret.length]), Buffer.from(`${secret}\0`)]),
      ),
  ],
  'another application’s data in a GIF': [
    'gif',
    (gif) =>
      insert(
        gif,
        gif.length - 1,
        Buffer.concat([
          Buffer.from('\x21\xff\x0bXMP DataXMP', 'latin1'),
          Buffer.from([secret.length]),
          Buffer.from(`${secret}\0`),
        ]),
      ),
  ],
  'a comment in a JPEG': [
    'jpeg',
    (jpeg) => insert(jpeg, 2, Buffer.concat([Buffer.from([0xff, 0xfe, 0, secret.length + 2]), Buffer.from(secret)])),
  ],
  'an application’s data in a JPEG': [
    'jpeg',
    (jpeg) => insert(jpeg, 2, Buffer.concat([Buffer.from([0xff, 0xec, 0, secret.length + 2]), Buffer.from(secret)])),
  ],
  'what follows a JPEG': ['jpeg', (jpeg) => Buffer.concat([jpeg, Buffer.from(secret)])],
  'what follows a PNG': ['png', (png) => Buffer.concat([png, Buffer.from(secret)])],
  'what follows a GIF': ['gif', (gif) => Buffer.concat([gif, Buffer.from(secret)])],
  'a private chunk of a WebP': [
    'webp',
    (webp) => {
      const chunk = Buffer.concat([Buffer.from('PRIV'), Buffer.from([secret.length, 0, 0, 0]), Buffer.from(secret)]);
      const whole = Buffer.concat([webp, chunk]);
      whole.writeUInt32LE(whole.length - 8, 4);
      return whole;
    },
  ],
};

test.each(Object.keys(additions))('the served file does not contain %s', async (what) => {
  const [format, add] = additions[what] ?? ['gif', () => Buffer.alloc(0)];
  const talkative = add(await draw(format));
  expect(talkative.includes(secret)).toBe(true);
  const { served } = await serve(`holiday.${format}`, talkative);
  expect(served.includes(secret)).toBe(false);
  expect(await sharp(served).metadata()).toMatchObject({ format, width: 40, height: 20 });
});

test.each<Format>(['jpeg', 'png', 'webp', 'gif'])('a picture as %s with no metadata stays as it is', async (format) => {
  const plain = await draw(format);
  expect((await serve(`plain.${format}`, plain)).served.equals(plain)).toBe(true);
});

/**
 * Returns a file like those of a phone, except for the codec. No library here can write HEVC, but an AVIF has the same
 * boxes.
 */
async function drawHeic(): Promise<Buffer> {
  const avif = await sharp({ create: { width: 40, height: 20, channels: 3, background: 'red' } })
    .withExif({ IFD0: { Model: secret }, IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '51/1 30/1 0/1' } })
    .withXmp(`<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>${secret}</a></x:xmpmeta>`)
    .avif()
    .toBuffer();
  return rebrand(avif, 'avif', 'heic');
}

function rebrand(bytes: Buffer, from: string, to: string): Buffer {
  const copy = Buffer.from(bytes);
  const head = copy.subarray(0, copy.readUInt32BE(0));
  for (let at = head.indexOf(from); at !== -1; at = head.indexOf(from)) head.write(to, at);
  return copy;
}

const box = (type: string, ...body: (Buffer | string)[]) => {
  const content = Buffer.concat(body.map((each) => Buffer.from(each)));
  const head = Buffer.alloc(8);
  head.writeUInt32BE(content.length + 8);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, content]);
};

test('a HEIC loses its location, and its pixels stay the same', async () => {
  const heic = Buffer.concat([await drawHeic(), box('uuid', `0123456789abcdef${secret}`)]);
  expect(heic.includes(secret)).toBe(true);
  const { served, contentType } = await serve('holiday.heic', heic);
  expect(contentType).toBe('image/heic');
  expect(served.length).toBe(heic.length);
  expect(served.includes(secret)).toBe(false);
  expect(served.includes('xmpmeta')).toBe(false);
  const pixels = (bytes: Buffer) =>
    sharp(rebrand(bytes, 'heic', 'avif'))
      .raw()
      .toBuffer();
  expect((await pixels(served)).equals(await pixels(heic))).toBe(true);
  // Uploading a file that has already been cleaned does not change it again.
  expect((await serve('again.heic', served)).served.equals(served)).toBe(true);
});

test('a HEIC whose content cannot be determined is refused, and leaves nothing behind', async () => {
  const heic = await drawHeic();
  const before = await countStored(server);
  const patched = (text: string, offset: number, value: number) => {
    const copy = Buffer.from(heic);
    copy.writeUInt32BE(value, copy.indexOf(text) + offset);
    return copy;
  };
  const broken = {
    'cut off': heic.subarray(0, heic.length - 10),
    'a box larger than the file': patched('meta', -4, 0x7fffffff),
    'a box smaller than its head': patched('iinf', -4, 4),
    'items at the end of the world': patched('iloc', 8, 0xffffffff),
    'a table that breaks off': patched('iloc', -4, 20),
  };
  for (const [what, content] of Object.entries(broken)) {
    const { status, body } = await postFiles(server, ada, [{ name: 'broken.heic', content: new Uint8Array(content) }]);
    expect([what, status, body.error]).toEqual([what, 400, expect.stringContaining('damaged picture')]);
  }
  expect(await countStored(server)).toEqual(before);
  expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('a video loses its location, wherever its boxes are', async () => {
  const place = box('udta', box('\xa9xyz', secret));
  const film = Buffer.concat([
    box('ftyp', 'isom\0\0\0\0isommp42'),
    // The box is longer than one read.
    box('mdat', Buffer.alloc(600_000, 'film')),
    box('moov', box('mvhd', Buffer.alloc(100, 1)), box('trak', box('tkhd', Buffer.alloc(84, 2)), place), place),
    box('uuid', `0123456789abcdef${secret}`),
  ]);
  const { served, contentType } = await serve('film.mp4', film);
  expect(contentType).toBe('video/mp4');
  expect(served.includes(secret)).toBe(false);
  expect(served.length).toBe(film.length);
  const end = film.indexOf('udta') - 4;
  expect(served.subarray(0, end).equals(film.subarray(0, end))).toBe(true);
  // A recorder that loses power leaves a file like this behind.
  const cut = film.subarray(0, 300_000);
  expect((await serve('cut.mp4', cut)).served.equals(cut)).toBe(true);
});
