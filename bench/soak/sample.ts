import { readdirSync } from 'node:fs';
import { rssBytes } from '../process.ts';
import type { Node } from './machine.ts';

/** `at` is in minutes, `heap` is measured after a garbage collection, in bytes, and `files` counts open descriptors. */
export type Sample = { at: number; rss: number; heap: number; files: number };

/** Measures the resources that a node uses now. Returns null while the node is down or paused. */
export async function takeSample({ program, isPaused }: Node, at: number): Promise<Sample | null> {
  if (program === null || isPaused) return null;
  const { pid, remote } = program;
  // The node may be paused or killed before it answers.
  const late = new Promise<null>((resolve) => void setTimeout(() => resolve(null), 3_000).unref());
  const heap = await Promise.race([remote.call('collectHeap').catch(() => null), late]);
  if (heap === null) return null;
  try {
    return { at, heap, rss: rssBytes(pid), files: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return null;
  }
}

/** Returns how fast a value grows, per minute: the slope of the least-squares line through the samples. */
export function slopeOf(samples: readonly Sample[], value: (sample: Sample) => number): number {
  const mean = (values: number[]) => values.reduce((sum, each) => sum + each, 0) / values.length;
  const at = mean(samples.map((sample) => sample.at));
  const level = mean(samples.map(value));
  let [above, below] = [0, 0];
  for (const sample of samples) {
    above += (sample.at - at) * (value(sample) - level);
    below += (sample.at - at) ** 2;
  }
  return below === 0 ? 0 : above / below;
}
