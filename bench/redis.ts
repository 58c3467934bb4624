import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { findFreePort } from '../src/postgres/embedded/server.ts';

/**
 * Debian's redis-server, listening on a port of the loopback address. It stores nothing on disk, so it is empty after a
 * restart.
 */
export type Redis = {
  readonly pid: number;
  port: number;
  url: string;
  /** Kills it without warning. */
  kill: () => Promise<void>;
  start: () => Promise<void>;
  stop: () => Promise<void>;
};

/** Starts a Redis server that stores nothing on disk. */
export async function startRedis(): Promise<Redis> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-redis-'));
  const port = await findFreePort();
  const settings = { port: String(port), bind: '127.0.0.1', dir: folder, save: '', appendonly: 'no' };
  const options = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  let child = await launch(options);
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  return {
    get pid() {
      return child.pid ?? 0;
    },
    port,
    url: `redis://127.0.0.1:${port}`,
    kill,
    start: async () => {
      child = await launch(options);
    },
    stop: async () => {
      await kill();
      process.removeListener('exit', end);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function launch(options: string[]): Promise<ChildProcess> {
  const child = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error('redis-server did not start')));
    child.stdout.on('data', (text: Buffer) => {
      if (text.includes('Ready to accept connections')) resolve();
    });
  });
  return child;
}
