import { Worker } from 'node:worker_threads';
import { onTestFinished, vi } from 'vitest';
import type { Data } from './client.ts';

/**
 * An event that an EventSource dispatched: a named event from the stream, or a change in the state of the EventSource
 * (`open`, `error`).
 */
export type Told = { type: string; lastEventId: string; data: Data; readyState: number };

/** An EventSource that works and reconnects as in a browser until the test is over. */
export type EventSourceClient = {
  told: Told[];
  /** Waits until `count` events of this type have arrived, and returns them. */
  has: (type: string, count: number) => Promise<Told[]>;
  close: () => void;
};

/**
 * Opens Node's own EventSource. EventSource requires a Node flag that can be set only for a whole thread or process, so
 * it runs in a separate thread.
 */
const script = `
const { parentPort, workerData } = require('node:worker_threads');
const source = new EventSource(workerData);
// This timer keeps the thread alive, because the pause before a reconnect does not.
setInterval(() => {}, 1_000);
for (const type of ['open', 'error', 'message', 'next', 'complete']) {
  source.addEventListener(type, ({ data, lastEventId }) =>
    parentPort.postMessage({ type, data, lastEventId, readyState: source.readyState }));
}`;

const patienceMs = 10_000;

/** Opens an EventSource as in a browser, in a separate thread. */
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
