import sharp, { type Sharp } from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { signUp, type Person } from '../support/client.ts';
import { upload } from '../support/file.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

type Format = 'jpeg' | 'png' | 'webp' | 'gif' | 'avif' | 'tiff';

/** Draws a picture that is red on the left and blue on the right. */
function draw(width: number, height: number) {
  const half = { create: { width: Math.ceil(width / 2), height, channels: 3 as const, background: 'blue' } };
  return sharp({ create: { width, height, channels: 3, background: 'red' } }).composite([
    { input: half, gravity: 'east' },
  ]);
}

const bytesOf = async (picture: Sharp, format: Format) => new Uint8Array(await picture.toFormat(format).toBuffer());

test('while a large picture is processed, other requests are answered', async () => {
  const large = await bytesOf(draw(6_000, 5_000).withExif({ IFD0: { Model: 'x' } }), 'jpeg');
  const uploading = upload(server, ada, large, 'large.jpg').then(() => true);
  let slowest = 0;
  const askOnce = async () => {
    const asked = performance.now();
    await grace.ask('{ viewer { id } }');
    slowest = Math.max(slowest, performance.now() - asked);
    return false;
  };
  let count = 0;
  while (!(await Promise.race([uploading, askOnce()]))) count += 1;
  expect(count).toBeGreaterThan(5);
  expect(slowest).toBeLessThan(1_000);
});
