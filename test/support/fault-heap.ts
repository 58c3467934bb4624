import { setTimeout as sleep } from 'node:timers/promises';

// This module is loaded into a server's process (`node --expose-gc --import`). On each SIGUSR2, it prints to stdout how
// much memory is in use after a full garbage collection.
let count = 0;

process.on('SIGUSR2', () => void tell());

async function tell(): Promise<void> {
  // V8 releases the memory of buffers on another thread, some time after the collection that freed them. On a busy
  // machine, 40 MB were still counted after the collection had returned.
  globalThis.gc?.();
  await sleep(100);
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  process.stdout.write(`heap ${(count += 1)}: ${heapUsed + external} bytes\n`);
}
