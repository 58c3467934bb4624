import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { signUp, type Person } from '../support/client.ts';
import { upload } from '../support/file.ts';
import { rounds } from '../support/rounds.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { uploadWithTus } from '../support/tus.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

const flat = (side: number) => sharp({ create: { width: side, height: side, channels: 3, background: '#347' } });
/** Both pictures are small files. One takes a fraction of a second to decode, the other a few milliseconds. */
const makeSlow = async () =>
  new Uint8Array(
    await flat(4_000)
      .withExif({ IFD0: { Copyright: 'x' } })
      .webp({ effort: 0 })
      .toBuffer(),
  );
const makeQuick = async () => new Uint8Array(await flat(50).png().toBuffer());

const routes: [string, (by: Person, bytes: Uint8Array<ArrayBuffer>, name: string) => Promise<unknown>][] = [
  ['a form', (by, bytes, name) => upload(server, by, bytes, name)],
  ['tus', (by, bytes) => uploadWithTus(server, by, Buffer.from(bytes))],
];

test.each(rounds(routes.slice(1), routes))(
  'a picture that arrives by %s waits for at most one of another user’s pictures, however many of those are waiting',
  async (_, send) => {
    const [slow, quick] = [await makeSlow(), await makeQuick()];
    let developed = 0;
    const line = Array.from({ length: 8 }, (_picture, index) =>
      send(ada, slow, `slow${index}.webp`).finally(() => (developed += 1)),
    );
    // Waits until the first picture has been processed.
    await expect.poll(() => developed, { timeout: 20_000, interval: 5 }).toBeGreaterThan(0);
    const before = developed;
    await send(grace, quick, 'quick.png');
    // At most three pictures were processed first: the two that were in progress, and one more that became ready at the
    // same moment.
    expect(developed - before).toBeLessThanOrEqual(3);
    expect(developed).toBeLessThan(8);
    await Promise.all(line);
  },
  60_000,
);
