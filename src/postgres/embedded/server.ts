import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from 'pino';
import { CannotStart } from '../../errors.ts';
import { applicationRole, type Cluster, superuser } from './cluster.ts';
import { nameOwnFolder, runAs } from './owner.ts';

/** A PostgreSQL that answers. `ended` resolves when its process has gone, for whatever reason. */
export type RunningPostgres = { ended: Promise<unknown>; stop: () => Promise<void> };

/** It is asked to write everything out; after this long it is told to leave that to the next start. */
const shutdownMs = 5_000;

/**
 * Starts PostgreSQL on the cluster and waits until it answers, which may take a while after a crash. It listens on
 * `port` of this machine alone. Throws CannotStart with the last of what it said when it ends instead.
 */
export async function startServer(cluster: Cluster, port: number, log: Logger): Promise<RunningPostgres> {
  const child = spawnServer(cluster, port);
  const ended = once(child, 'exit').catch((error: Error) => error);
  const lastLines: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    log.debug(`postgres: ${line}`);
    lastLines.push(line);
    if (lastLines.length > 20) lastLines.shift();
  });
  try {
    await waitUntilReady(child, databaseUrl(cluster, port, 'postgres'));
  } catch (error) {
    await stopServer(child, ended);
    throw new CannotStart(`PostgreSQL did not start:\n  ${lastLines.join('\n  ')}`, { cause: error });
  }
  return { ended, stop: () => stopServer(child, ended) };
}

/** A way into any of its databases, as the superuser. */
export function databaseUrl({ passwords }: Cluster, port: number, name: string): string {
  return `postgres://${superuser}:${passwords.superuser}@127.0.0.1:${port}/${name}`;
}

/** A way into the application's database, as the application's role. */
export function applicationUrl({ passwords }: Cluster, port: number, name: string): string {
  return `postgres://${applicationRole}:${passwords.application}@127.0.0.1:${port}/${name}`;
}

export async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('The probe listens on no port.');
  return address.port;
}

function spawnServer({ folder, owner, programs }: Cluster, port: number) {
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    // A socket's path may have 107 bytes; that of a clone may have more.
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // What befalls the server is logged; a failed statement is told to us, and its text may hold what people wrote.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return spawn(programs.postgres, ['-D', nameOwnFolder(owner, folder), ...flags], {
    ...runAs(owner, folder),
    // A process group of its own: Ctrl-C reaches all of the terminal's group, and the database must outlast the drain.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

async function waitUntilReady(child: ChildProcess, url: string): Promise<void> {
  while (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      if (!isStarting(error)) throw error;
      await sleep(30);
    }
  }
  throw new Error('PostgreSQL has ended.');
}

/** Not listening yet, or replaying its log after a crash (cannot_connect_now). */
function isStarting(error: unknown): boolean {
  return ['ECONNREFUSED', '57P03'].includes(String((error as { code?: unknown }).code));
}

async function stopServer(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  // PostgreSQL's "fast" shutdown: connections are cut, everything is written out.
  child.kill('SIGINT');
  const impatience = setTimeout(() => child.kill('SIGQUIT'), shutdownMs);
  await ended;
  clearTimeout(impatience);
}
