import { expect, test } from 'vitest';
import { differences } from '../support/client-oracle.ts';
import { ClientModel, type Run } from '../support/client-model.ts';
import { faultyReducers, replayWith } from '../support/faulty-reducer.ts';

const runs: Run[] = [];

test('whatever happens, each device ends up with exactly what the server shows', { timeout: 180_000 }, async () => {
  const model = new ClientModel(1);
  await model.start();
  await model.act(60);
  await model.rehearse();
  const outcome = await model.check();
  expect(outcome.found, model.log.join(', ')).toEqual([]);
  runs.push(...outcome.runs);
});

test.each(Object.entries(faultyReducers))('a reducer that %s is found out', (_, reducer) => {
  const faults = runs.filter(({ actions, truth }) => differences(replayWith(reducer, actions), truth).length > 0);
  expect(faults.length).toBeGreaterThan(0);
});
