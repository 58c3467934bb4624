import { Worker } from 'node:worker_threads';
import { onTestFinished, vi } from 'vitest';
import type { Data } from './client.ts';

/** What an EventSource dispatched: an event of that name, or a change of the EventSource's state (`open`, `error`). */
export type Told = { type: string; lastEventId: string; data: Data; readyState: number };

/** An EventSource that works and reconnects as in browsers, until the test is over. */
export type EventSourceClient = {
  told: Told[];
  /** Waits until `count` events of this type have arrived, and returns them. */
  has: (type: string, count: number) => Promise<Told[]>;
  close: () => void;
};

/**
 * Opens Node's own EventSource. It needs a flag of Node, and flags can be set only for a thread or a process, so it
 * runs in a thread.
 */
const script = `
const { parentPort, workerData } = require('node:worker_threads');
const source = new EventSource(workerData);
// The pause before it reconnects does not keep the thread alive.
setInterval(() => {}, 1_000);
for (const type of ['open', 'error', 'message', 'next', 'complete']) {
  source.addEventListener(type, ({ data, lastEventId }) =>
    parentPort.postMessage({ type, data, lastEventId, readyState: source.readyState }));
}`;

const patienceMs = 10_000;

/** Opens an EventSource as in a browser, in a thread of its own. */
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
