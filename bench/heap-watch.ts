import { heapMethods } from './heap.ts';
import { serve } from './remote.ts';

// Loaded into a server's process with `node --import`; reports how much memory the process has used.
serve(heapMethods);
