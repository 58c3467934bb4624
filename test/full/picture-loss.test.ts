import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { signUp, type Person } from '../support/client.ts';
import { servePicture } from '../support/file.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

let server: TestServer;
let ada: Person;
beforeAll(async () => {
  server = await sharedServer();
  ada = await signUp(server, 'ada');
});

const secret = 'a secret camera';

test('a long GIF with a comment loses only the comment', async () => {
  const flat = (red: number) => ({
    create: { width: 1_000, height: 1_000, channels: 3 as const, background: { r: red, g: 0, b: 99 } },
  });
  const frames = await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      sharp(flat(index * 4))
        .png()
        .toBuffer(),
    ),
  );
  // The animation has 60 million pixels in total.
  const original = await sharp(frames, { join: { animated: true }, limitInputPixels: false })
    .gif({ effort: 1 })
    .toBuffer();
  const comment = Buffer.concat([Buffer.from([0x21, 0xfe, secret.length]), Buffer.from(`${secret}\0`)]);
  const talkative = Buffer.concat([original.subarray(0, -1), comment, original.subarray(-1)]);
  const { file, served } = await servePicture(server, ada, talkative, 'a.gif');
  expect(file).toMatchObject({ width: 1_000, height: 1_000, note: null });
  expect(served.equals(original)).toBe(true);
}, 60_000);
