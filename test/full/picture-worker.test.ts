import { randomBytes } from 'node:crypto';
import sharp from 'sharp';
import { afterAll, expect, test } from 'vitest';
import { PictureWorker } from '../../src/file/picture-worker.ts';

const workers: PictureWorker[] = [];
afterAll(() => {
  for (const worker of workers) worker.close();
});

function newWorker(maxMs?: number): PictureWorker {
  const worker = new PictureWorker(maxMs);
  workers.push(worker);
  return worker;
}

const small = () =>
  sharp(randomBytes(300), { raw: { width: 10, height: 10, channels: 3 } })
    .png()
    .toBuffer();

test('decoding that takes too long is stopped by ending its process, and the next picture gets a new process', async () => {
  const large = await sharp({ create: { width: 6_000, height: 6_000, channels: 3, background: 'red' } })
    .webp({ effort: 0 })
    .toBuffer();
  const impatient = newWorker(100);
  const start = performance.now();
  const found = await impatient.develop(large, async (development) => development);
  expect(found).toMatchObject({ kind: 'undecodable', isTooHeavy: true });
  expect(performance.now() - start).toBeLessThan(10_000);
  const patient = newWorker();
  expect(await patient.develop(await small(), async ({ kind }) => kind)).toBe('decoded');
}, 60_000);
