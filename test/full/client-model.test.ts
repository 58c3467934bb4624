import { expect, test } from 'vitest';
import { ClientModel } from '../support/client-model.ts';

/** `MODEL_MINUTES=30 MODEL_SEED=1000 npm run test:full -- test/full/client-model.test.ts` runs longer. */
const minutes = Number(process.env['MODEL_MINUTES'] ?? '2');
const firstSeed = Number(process.env['MODEL_SEED'] ?? '100');

test('whatever happens, with one seed after the other', { timeout: minutes * 60_000 + 180_000 }, async () => {
  const end = Date.now() + minutes * 60_000;
  for (let seed = firstSeed; Date.now() < end; seed += 1) {
    const model = new ClientModel(seed);
    await model.start();
    await model.act(200);
    await model.rehearse();
    const { found } = await model.check();
    expect(found, `seed ${seed}: ${model.log.join(', ')}`).toEqual([]);
    await model.close();
  }
});
