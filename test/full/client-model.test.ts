import { expect, test } from 'vitest';
import { ClientModel } from '../support/client-model.ts';

/** `npm run soak -- --clients --minutes 30 --seed 1000` runs this test for longer. */
const minutes = Number(process.env['MODEL_MINUTES'] ?? '2');
const firstSeed = Number(process.env['MODEL_SEED'] ?? '100');

test('whatever happens, with one seed after another', { timeout: minutes * 60_000 + 180_000 }, async () => {
  const end = Date.now() + minutes * 60_000;
  for (let seed = firstSeed; Date.now() < end; seed += 1) {
    const model = new ClientModel(seed, { hasProcess: true });
    await model.start();
    await model.act(200);
    await model.rehearse();
    const { found } = await model.check();
    expect(found, `seed ${seed}: ${model.log.join(', ')}`).toEqual([]);
    await model.close();
  }
});
