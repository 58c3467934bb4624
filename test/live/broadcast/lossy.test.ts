import { runHere, useNetwork } from '../../support/nodes.ts';

// Repeats the delivery tests with nodes that exchange events over a network that delays and loses messages: headers and
// pieces arrive late, out of order, or never. test/full runs more of these tests.
useNetwork({ maxDelayMs: 40, loss: 0.05 });
await runHere(['faults/property', 'live/access']);
