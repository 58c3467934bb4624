import { expect, test } from 'vitest';
import { PictureBudget } from '../../src/file/picture-budget.ts';
import { openWorker, paintSmall } from '../support/picture-worker.ts';

test('one worker decodes pictures one after the other, even if one fails', async () => {
  const worker = openWorker();
  const kinds: string[] = [];
  for (const content of [await paintSmall(), Buffer.from('no picture'), await paintSmall()]) {
    kinds.push(await worker.develop(content, async ({ kind }) => kind));
  }
  expect(kinds).toEqual(['decoded', 'unknown', 'decoded']);
  worker.close();
  expect(await worker.develop(await paintSmall(), async ({ kind }) => kind)).toBe('decoded');
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
