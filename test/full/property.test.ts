// `npm test` runs fewer rounds, in test/faults/property.test.ts.
import { test } from 'vitest';
import { expectExactEvents, startAnyOrder } from '../support/any-order.ts';

await startAnyOrder();

test('whatever happens in whatever order, everyone receives exactly the events they should', { timeout: 600_000 }, () =>
  expectExactEvents(40),
);
