import { runHere, useNetwork } from '../support/nodes.ts';

// Like test/live/broadcast/lossy.test.ts, but with more tests.
useNetwork({ maxDelayMs: 40, loss: 0.05 });
await runHere(['faults/property', 'faults/race', 'faults/revocation', 'live/access', 'live/any-writer']);
