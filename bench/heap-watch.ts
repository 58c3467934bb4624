import { heapMethods } from './heap.ts';
import { serve } from './remote.ts';

// Runs in a server's process, which loads it with `node --import`, and reports how much memory the process has used.
serve(heapMethods);
