import { once } from 'node:events';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Makes another Node process collect all its garbage now, through the process's inspector, which SIGUSR1 opens.
 * `port` is the process's --inspect-port.
 */
export async function collectGarbage(pid: number, port: number): Promise<void> {
  process.kill(pid, 'SIGUSR1');
  const socket = new WebSocket(await findInspector(port));
  await once(socket, 'open');
  // The second collection frees what the finalizers of the first collection released.
  for (const id of [1, 2]) {
    socket.send(JSON.stringify({ id, method: 'HeapProfiler.collectGarbage' }));
    await once(socket, 'message');
  }
  socket.close();
  await once(socket, 'close');
}

async function findInspector(port: number): Promise<string> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/json/list`);
      const [target] = (await response.json()) as { webSocketDebuggerUrl: string }[];
      if (target !== undefined) return target.webSocketDebuggerUrl;
    } catch {
      // The inspector opens a moment after the signal arrives.
    }
    await sleep(100);
  }
  throw new Error('the inspector did not open');
}
