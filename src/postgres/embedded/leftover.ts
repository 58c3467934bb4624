import { execFile } from 'node:child_process';
import { readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Logger } from 'pino';

/** How long a server that was left behind may take to flush its data, in ms. */
const patienceMs = 10_000;

/**
 * Makes the cluster in `folder` startable after a server was killed: stops a PostgreSQL that is still running, and
 * makes its pid file harmless. Committed data stays. The caller must hold the lock on the data folder, so any
 * PostgreSQL that is still running here is orphaned.
 */
export async function endLeftover(folder: string, log: Logger): Promise<void> {
  const pidFile = join(folder, 'postmaster.pid');
  const recorded = await readFile(pidFile, 'utf8').catch(() => null);
  if (recorded === null) return;
  const postmaster = Number.parseInt(recorded, 10);
  let running = await findServers(folder, postmaster);
  if (running.includes(postmaster)) {
    log.warn('stopping a PostgreSQL that an earlier server left running');
    signal(postmaster, 'SIGINT');
    running = await waitUntilGone(folder, postmaster);
  }
  // These are connection processes that outlived their server, or a server that does not stop. No data is lost, because
  // committed data is in the write-ahead log, which the next server replays.
  for (const pid of running) signal(pid, 'SIGKILL');
  if (running.length > 0) await waitUntilGone(folder, postmaster);

  // By now, another process may have the pid in the file. PostgreSQL would take that process for a server and refuse to
  // start. PostgreSQL never takes its parent process for a server, so the pid in the file is replaced by that of this
  // process, which will start PostgreSQL. The file must stay, because it identifies the shared memory through which
  // PostgreSQL itself checks that none of its processes is left.
  if ((await readFile(pidFile, 'utf8').catch(() => null)) !== null) {
    await writeFile(pidFile, recorded.replace(/^\d+/, String(process.pid)));
  }
}

/** Resolves to the processes that are still running after `patienceMs`. */
async function waitUntilGone(folder: string, postmaster: number): Promise<number[]> {
  const deadline = performance.now() + patienceMs;
  let running = await findServers(folder, postmaster);
  while (running.length > 0 && performance.now() < deadline) {
    await sleep(20);
    running = await findServers(folder, postmaster);
  }
  return running;
}

/** Returns the ids of the PostgreSQL processes that run in `folder`: the server and its children. */
async function findServers(folder: string, postmaster: number): Promise<number[]> {
  if (process.platform !== 'linux') return (await isPostgres(postmaster)) ? [postmaster] : [];
  const home = await stat(folder);
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const [cwd, program] = await Promise.all([stat(`/proc/${pid}/cwd`), readlink(`/proc/${pid}/exe`)]).catch(
        () => [],
      );
      // The check of the program's name is needed because an operator's shell may also have the folder as its working
      // directory.
      return cwd?.ino === home.ino && cwd.dev === home.dev && basename(program ?? '').startsWith('postgres');
    }),
  );
  return pids.filter((_, index) => found[index]);
}

/**
 * Returns whether the process is a PostgreSQL server, judging by its name. Without /proc, only the server process
 * itself is checked.
 */
async function isPostgres(pid: number): Promise<boolean> {
  return promisify(execFile)('ps', ['-o', 'comm=', '-p', String(pid)]).then(
    ({ stdout }) => basename(stdout.trim()).startsWith('postgres'),
    () => false,
  );
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // The process has just exited on its own.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
