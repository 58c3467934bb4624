import { runHere, useNetwork } from '../../support/nodes.ts';

// Repeats the delivery tests with nodes that exchange events over a network that delays messages and loses some of
// them: headers and pieces arrive late, in any order, or never. test/full runs more of these tests.
useNetwork({ maxDelayMs: 40, loss: 0.05 });
await runHere(['faults/property', 'live/access']);
