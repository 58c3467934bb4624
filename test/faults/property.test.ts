import { test } from 'vitest';
import { expectExactEvents, startAnyOrder } from '../support/any-order.ts';
import { rounds } from '../support/rounds.ts';

await startAnyOrder();

test('whatever happens in whatever order, everyone receives exactly the events they should', { timeout: 60_000 }, () =>
  expectExactEvents(rounds(4, 10)),
);
