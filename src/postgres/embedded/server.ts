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

/** A PostgreSQL that accepts connections. `ended` resolves when its process exits for any reason. */
export type RunningPostgres = { ended: Promise<unknown>; stop: () => Promise<void> };

/**
 * How long a shutdown that flushes everything may take, in ms. If it takes longer, the server is killed, and the next
 * start performs a recovery.
 */
const shutdownMs = 5_000;

/**
 * Starts PostgreSQL on the cluster and waits until it accepts connections. After a crash, this may take a while.
 * PostgreSQL listens only on `port` of 127.0.0.1. Throws CannotStart with the last lines of the PostgreSQL log if
 * PostgreSQL does not start.
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

/** Returns the URL of a database in the cluster, for the superuser. */
export function databaseUrl({ passwords }: Cluster, port: number, name: string): string {
  return `postgres://${superuser}:${passwords.superuser}@127.0.0.1:${port}/${name}`;
}

/** Returns the URL of the application's database, for the application's role. */
export function applicationUrl({ passwords }: Cluster, port: number, name: string): string {
  return `postgres://${applicationRole}:${passwords.application}@127.0.0.1:${port}/${name}`;
}

/** Returns a TCP port of the loopback address that was free a moment ago. */
export async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('the probe is not listening on a port');
  return address.port;
}

function spawnServer({ folder, owner, programs }: Cluster, port: number) {
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    // The path of a socket may have at most 107 bytes, and the path of a clone may be longer.
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // Log only events that concern the server itself. The errors of failed statements reach the application anyway, and
    // their text may contain user content.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return spawn(programs.postgres, ['-D', nameOwnFolder(owner, folder), ...flags], {
    ...runAs(owner, folder),
    // PostgreSQL runs in a separate process group, because Ctrl-C signals the terminal's whole group, and the database
    // must outlive the drain.
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
  throw new Error('PostgreSQL exited.');
}

/**
 * Returns whether the server is still starting: it is not listening yet, or it is replaying its log after a crash
 * (cannot_connect_now).
 */
function isStarting(error: unknown): boolean {
  return ['ECONNREFUSED', '57P03'].includes(String((error as { code?: unknown }).code));
}

async function stopServer(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  // PostgreSQL's "fast" shutdown cuts connections and flushes everything.
  child.kill('SIGINT');
  const impatience = setTimeout(() => child.kill('SIGQUIT'), shutdownMs);
  await ended;
  clearTimeout(impatience);
}
