import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { findFreePort } from '../../src/postgres/embedded/server.ts';
import { atFileEnd } from './file-end.ts';

const run = promisify(execFile);

/** A Redis server that a test can break. It stores nothing on disk, so it is empty after a restart. */
export type TestRedis = {
  /** The value for REDIS_URL. */
  url: string;
  port: number;
  /** Runs a command with redis-cli, and returns its output. */
  cli: (...args: string[]) => Promise<string>;
  /** Kills the server without warning. */
  kill: () => Promise<void>;
  /** Starts the server again, empty, on the same port. */
  restart: () => Promise<void>;
  /** Stops the server with SIGSTOP: its connections stay open, but it does not answer. */
  pause: () => void;
  /** Continues after `pause`. */
  resume: () => void;
};

/** The command that starts a server, as the program and its first arguments. */
let serverCommand = ['redis-server'];

/** Whether `useValkey` can install Valkey on this machine. */
export const canUseValkey = process.getuid?.() === 0 && existsSync('/usr/sbin/debootstrap');

/**
 * Starts Valkey instead of Redis for tests that ask for Redis, until the test file ends. Valkey comes from Debian 13
 * with the libraries that it needs, because older releases of Debian have no Valkey.
 */
export async function useValkey(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-valkey-'));
  atFileEnd(async () => {
    serverCommand = ['redis-server'];
    await rm(folder, { recursive: true, force: true });
  });
  const choice = ['--variant=minbase', '--include=valkey-server', 'trixie', folder];
  await run('/usr/sbin/debootstrap', choice, { maxBuffer: 64e6 });
  const libraries = join(folder, 'usr/lib/x86_64-linux-gnu');
  const program = join(folder, 'usr/bin/valkey-server');
  serverCommand = [join(libraries, 'ld-linux-x86-64.so.2'), '--library-path', libraries, program];
}

/** Starts a Redis server on a free port of the loopback address, and stops it after the file's last test. */
export async function startRedis(settings: Record<string, string> = {}): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'parley-redis-'));
  const port = await findFreePort();
  const options = { port: String(port), bind: '127.0.0.1', dir: directory, save: '', appendonly: 'no', ...settings };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const start = () => launch([...serverCommand, ...args], port);
  let child = await start();
  const kill = () => end(child);
  atFileEnd(async () => {
    await kill();
    await rm(directory, { recursive: true, force: true });
  });
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    cli: async (...command) => (await run('redis-cli', ['-p', String(port), ...command])).stdout.trim(),
    kill,
    restart: async () => {
      await kill();
      child = await start();
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
  };
}

/** A cluster of servers without replicas. */
export type TestRedisCluster = { url: string; servers: TestRedis[] };

/** Starts a cluster of three servers, each with a third of the slots. */
export async function startRedisCluster(): Promise<TestRedisCluster> {
  const settings = { 'cluster-enabled': 'yes', 'cluster-node-timeout': '2000' };
  const members = await Promise.all(
    [0, 1, 2].map(async (index) => {
      const bus = await findFreePort();
      return { index, bus, server: await startRedis({ ...settings, 'cluster-port': String(bus) }) };
    }),
  );
  for (const { index, server } of members) {
    const [from, to] = [Math.floor((16_384 * index) / 3), Math.floor((16_384 * (index + 1)) / 3) - 1];
    await server.cli('cluster', 'addslotsrange', String(from), String(to));
    for (const other of members)
      await server.cli('cluster', 'meet', '127.0.0.1', String(other.server.port), String(other.bus));
  }
  const servers = members.map(({ server }) => server);
  const places = servers.map(({ port }) => `127.0.0.1:${port}`);
  for (const server of servers)
    await until(async () => (await server.cli('cluster', 'info')).includes('cluster_state:ok'));
  return { url: `redis+cluster://${places.join(',')}`, servers };
}

/** A server, its replica, and the Sentinels that promote the replica. */
export type TestSentinels = { url: string; primary: TestRedis; replica: TestRedis };

/** Starts a primary, a replica, and three Sentinels that detect within about a second that the primary is down. */
export async function startSentinels(): Promise<TestSentinels> {
  const primary = await startRedis({ 'repl-diskless-sync-delay': '0' });
  const replica = await startRedis({ replicaof: `127.0.0.1 ${primary.port}` });
  await until(async () => (await replica.cli('info', 'replication')).includes('master_link_status:up'));
  const ports = await Promise.all([0, 1, 2].map(() => startSentinel(primary.port)));
  for (const port of ports) await until(() => knowsAll(port));
  return { url: `redis+sentinel://${ports.map((port) => `127.0.0.1:${port}`).join(',')}/chat`, primary, replica };
}

async function startSentinel(primaryPort: number): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'parley-sentinel-'));
  const port = await findFreePort();
  const path = join(directory, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${directory}`,
    `sentinel monitor chat 127.0.0.1 ${primaryPort} 2`,
    'sentinel down-after-milliseconds chat 1000',
    'sentinel failover-timeout chat 2000',
  ];
  await writeFile(path, lines.map((line) => `${line}\n`).join(''));
  const child = await launch([...serverCommand, path, '--sentinel'], port);
  atFileEnd(async () => {
    await end(child);
    await rm(directory, { recursive: true, force: true });
  });
  return port;
}

async function knowsAll(port: number): Promise<boolean> {
  const { stdout } = await run('redis-cli', ['-p', String(port), 'sentinel', 'master', 'chat']);
  const lines = stdout.split('\n');
  const valueOf = (name: string) => Number(lines[lines.indexOf(name) + 1]);
  return valueOf('num-slaves') === 1 && valueOf('num-other-sentinels') === 2;
}

async function launch([program = '', ...args]: string[], port: number): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: 'ignore' });
  await Promise.race([
    until(() => accepts(port)),
    once(child, 'exit').then(() => {
      throw new Error(`${program} ended at once`);
    }),
    once(child, 'error').then(([error]) => {
      throw new Error(`${program} cannot be started: install Debian's redis-server`, { cause: error });
    }),
  ]);
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Waits until the condition holds. Checks it every 20 ms, for at most 20 s. */
async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error('a condition did not hold within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
