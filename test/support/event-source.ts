import { Worker } from 'node:worker_threads';
import { onTestFinished, vi } from 'vitest';
import type { Data } from './client.ts';

/** What an EventSource dispatched: an event of that name, or a change of its own state (`open`, `error`). */
export type Told = { type: string; lastEventId: string; data: Data; readyState: number };

/** An EventSource as browsers have it, which reconnects by itself, until the test is over. */
export type EventSourceClient = {
  told: Told[];
  /** Waits until so many of that type have come, and returns them. */
  has: (type: string, count: number) => Promise<Told[]>;
  close: () => void;
};

/** Node's own EventSource, which is behind a flag: in a thread, because only threads and processes take flags. */
const script = `
const { parentPort, workerData } = require('node:worker_threads');
const source = new EventSource(workerData);
// Its pause before it reconnects keeps no thread alive.
setInterval(() => {}, 1_000);
for (const type of ['open', 'error', 'message', 'next', 'complete']) {
  source.addEventListener(type, ({ data, lastEventId }) =>
    parentPort.postMessage({ type, data, lastEventId, readyState: source.readyState }));
}`;

const patienceMs = 10_000;

export function openEventSource(url: string): EventSourceClient {
  const told: Told[] = [];
  const worker = new Worker(script, {
    eval: true,
    workerData: url,
    execArgv: ['--experimental-eventsource', '--no-warnings'],
  });
  const close = () => void worker.terminate();
  onTestFinished(close);
  worker.on('message', ({ data, ...rest }: Told) => {
    told.push({ ...rest, data: typeof data === 'string' && data !== '' ? JSON.parse(data) : (data ?? null) });
  });
  const has = (type: string, count: number) =>
    vi.waitFor(() => {
      const found = told.filter((each) => each.type === type);
      if (found.length < count) throw new Error(`${found.length} of ${count} ${type}: ${JSON.stringify(told)}`);
      return found;
    }, patienceMs);
  return { told, has, close };
}
