import { randomBytes } from 'node:crypto';
import sharp from 'sharp';
import { afterAll, expect, test } from 'vitest';
import { PictureBudget } from '../../src/file/picture-budget.ts';
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

test('one worker decodes pictures one after the other, even if one fails', async () => {
  const worker = newWorker();
  const kinds: string[] = [];
  for (const content of [await small(), Buffer.from('no picture'), await small()]) {
    kinds.push(await worker.develop(content, async ({ kind }) => kind));
  }
  expect(kinds).toEqual(['decoded', 'unknown', 'decoded']);
  worker.close();
  expect(await worker.develop(await small(), async ({ kind }) => kind)).toBe('decoded');
}, 60_000);

test('a person who has used up two minutes of decoding time must wait, but others need not', () => {
  let now = 0;
  const budget = new PictureBudget(() => now);
  budget.check('ada');
  budget.spend('ada', 130_000);
  expect(() => budget.check('ada')).toThrow(expect.objectContaining({ retryAfterSeconds: 100 }));
  budget.check('grace');
  now += 101_000;
  budget.check('ada');
});
