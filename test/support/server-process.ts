import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { currentExchange } from './nodes.ts';

/** The server as operators run it, in a separate process that is configured by its environment. */
export type ServerProcess = {
  pid: number;
  /** Resolves once the server accepts requests. Rejects with the server's output if it exits first. */
  url: Promise<string>;
  /**
   * Resolves with the output so far, once it contains `text`. Rejects if the process exits without printing the text.
   */
  said: (text: string) => Promise<string>;
  kill: (signal: NodeJS.Signals) => void;
  /** The exit status (null if a signal killed the process), and the complete output. */
  ended: Promise<{ status: number | null; output: string }>;
};

const root = join(import.meta.dirname, '../..');

/** Runs `node src/main.ts` or an equivalent `command` until the test is over. PORT is 0 unless `env` sets it. */
export function runServer(env: Record<string, string>, command = [process.execPath, 'src/main.ts']): ServerProcess {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    cwd: root,
    // The server runs in a separate process group, so that signals to it do not end vitest.
    detached: true,
    env: {
      PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
      HOME: homedir(),
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      PORT: '0',
      ...currentExchange().env,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pid = child.pid ?? 0;
  const closed = once(child, 'close');
  let output = '';
  const listeners = new Set<() => void>();
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on('line', (line) => {
      output += `${line}\n`;
      for (const listener of listeners) listener();
    });
  }
  const ended = closed.then(() => ({ status: child.exitCode, output }));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  const said = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        if (output.includes(text)) resolve(output);
      };
      listeners.add(look);
      look();
      void ended.then(() => reject(new Error(`It ended without saying "${text}":\n${output}`)));
    });
  const url = said('GraphiQL is at ').then((text) => /GraphiQL is at (\S+)\/graphql/.exec(text)?.[1] ?? '');
  // A test that expects the server to refuse to start never reads `url`, so its rejection must not count as unhandled.
  url.catch(() => {});
  return { pid, url, said, kill: (signal) => void child.kill(signal), ended };
}

/**
 * Creates a folder, and returns the path of an unused DATA_DIR in it. After the test, or when `afterwards` runs the
 * work, stops the PostgreSQL of the DATA_DIR and removes the folder.
 */
export async function createDataDir(afterwards: (work: () => Promise<void>) => void = onTestFinished): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-data-'));
  const dataDir = join(folder, 'data');
  afterwards(async () => {
    await removeDataDir(dataDir);
    await rm(folder, { recursive: true });
  });
  return dataDir;
}

/** Stops the PostgreSQL that runs in `dataDir`, if any, and removes the folder. */
export async function removeDataDir(dataDir: string): Promise<void> {
  const postmaster = await readPostmaster(dataDir).catch(() => null);
  if (postmaster !== null && (await isPostgres(postmaster))) process.kill(postmaster, 'SIGKILL');
  await rm(dataDir, { recursive: true, force: true, maxRetries: 20 });
}

/** Returns the pid of the PostgreSQL that was last started in `dataDir`. */
export async function readPostmaster(dataDir: string): Promise<number> {
  return Number.parseInt(await readFile(join(dataDir, 'postgres/cluster/postmaster.pid'), 'utf8'), 10);
}

/**
 * Returns whether the process is running and is a PostgreSQL server. A process that has exited may remain for a long
 * time until its parent reaps it.
 */
export async function isPostgres(pid: number): Promise<boolean> {
  const ps = await promisify(execFile)('ps', ['-o', 'stat=,comm=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return /^[^Z]\S* +postgres$/.test(ps.stdout.trim());
}

/** Opens connections to the database of `dataDir`, like psql with the URL that is stored there. */
export async function connectTo(dataDir: string): Promise<pg.Pool> {
  const pool = new pg.Pool({
    connectionString: (await readFile(join(dataDir, 'database-url'), 'utf8')).trim(),
    max: 2,
  });
  // Killing the server cuts the connection.
  pool.on('error', () => {});
  onTestFinished(() => pool.end());
  return pool;
}
