import sharp from 'sharp';
import { expect, test } from 'vitest';
import { openWorker, paintSmall } from '../support/picture-worker.ts';

test('decoding that takes too long is stopped by ending its process, and the next picture gets a new process', async () => {
  const large = await sharp({ create: { width: 6_000, height: 6_000, channels: 3, background: 'red' } })
    .webp({ effort: 0 })
    .toBuffer();
  const impatient = openWorker(100);
  const start = performance.now();
  const found = await impatient.develop(large, async (development) => development);
  expect(found).toMatchObject({ kind: 'undecodable', isTooHeavy: true });
  expect(performance.now() - start).toBeLessThan(10_000);
  const patient = openWorker();
  expect(await patient.develop(await paintSmall(), async ({ kind }) => kind)).toBe('decoded');
}, 60_000);
