import process from 'node:process';
import { setInterval } from 'node:timers';

/**
 * The most memory that a process has used since the last call of `resetHeapPeak`, in bytes, sampled a hundred times a
 * second.
 */
export type HeapPeak = { heap: number; buffers: number };

const peak: HeapPeak = { heap: 0, buffers: 0 };
setInterval(look, 10).unref();

function look(): void {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  peak.heap = Math.max(peak.heap, heapUsed);
  peak.buffers = Math.max(peak.buffers, arrayBuffers);
}

/** What a measured server reports about its own memory. */
export const heapMethods = {
  resetHeapPeak(): void {
    Object.assign(peak, { heap: 0, buffers: 0 });
  },
  readHeapPeak(): HeapPeak {
    look();
    return { ...peak };
  },
  /** Returns the heap in use after a garbage collection, in bytes. Needs the flag --expose-gc. */
  collectHeap(): number {
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  },
};

/** The methods that another process can call to ask about this process's heap. */
export type HeapMethods = typeof heapMethods;
