import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { Remote, type Methods } from './remote.ts';

/** Linux counts CPU time in ticks of 10 ms on every machine (USER_HZ). */
const ticksPerSecond = 100;

/** A child process, and how to stop it. */
export type Program = { pid: number; stop: () => Promise<void> };

/** `hidesErrors`: the errors in the server's log are expected, so they are not copied to standard error. */
type Options = { settings?: Record<string, string>; nodeFlags?: string[]; hidesErrors?: boolean };

/** Starts a script that serves methods with `serve` from remote.ts. */
export function startHelper<M extends Methods>(script: string, options: Options = {}): Program & { remote: Remote<M> } {
  const child = spawnNode(script, options, ['ignore', 'inherit', 'inherit', 'ipc']);
  return { ...toProgram(child), remote: new Remote<M>(child) };
}

/**
 * Starts a server that prints the address it listens on; `url` is the first address in its output. `remote` calls the
 * methods of a module that is loaded into the same process.
 */
export async function startServer<M extends Methods>(
  script: string,
  options: Options,
): Promise<Program & { url: string; remote: Remote<M> }> {
  const child = spawnNode(script, options, ['ignore', 'pipe', 'inherit', 'ipc']);
  if (child.stdout === null) throw new Error('the child has no standard output');
  const said: string[] = [];
  // The output must be read to the end; otherwise, the server would block when it writes its log.
  const lines = createInterface({ input: child.stdout });
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', () => reject(new Error(`${script} ended:\n${said.join('\n')}`)));
    lines.on('line', (line) => {
      said.push(line);
      const found = /http:\/\/[^/"]+/.exec(line)?.[0];
      if (found !== undefined) resolve(found);
      if (options.hidesErrors !== true && /"level":"(error|fatal)"/.test(line)) process.stderr.write(`${line}\n`);
    });
  });
  return { ...toProgram(child), url, remote: new Remote<M>(child) };
}

/** The CPU time of a process and all its threads, in ms: user and system time together, always a multiple of 10. */
export function cpuMs(pid: number): number {
  const [user = 0, system = 0] = readStat(pid).times;
  return ((user + system) * 1000) / ticksPerSecond;
}

/**
 * Returns the same time for the process and all its child processes, even those that have ended, because PostgreSQL has
 * a process per connection.
 */
export function familyCpuMs(pid: number): number {
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readStatIfThere(Number(name)))
    .filter((stat) => stat !== null);
  const ticksOf = (member: number): number => {
    const children = stats.filter(({ parent }) => parent === member).map((child) => ticksOf(child.pid));
    const own = stats.find((stat) => stat.pid === member)?.times ?? [];
    return [...own, ...children].reduce((sum, ticks) => sum + ticks, 0);
  };
  return (ticksOf(pid) * 1000) / ticksPerSecond;
}

/** The CPU time of all processes on this machine since it booted, in ms, including time that its host took from it. */
export function machineCpuMs(): number {
  const [first = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
  // The fields of proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal.
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = first
    .trim()
    .split(/ +/)
    .slice(1)
    .map(Number);
  return ((user + nice + system + irq + softirq + steal) * 1000) / ticksPerSecond;
}

/** How much RAM a process uses, in bytes. */
export function rssBytes(pid: number): number {
  return readStatus(pid, 'VmRSS');
}

/** The peak amount of RAM that a process has used since `resetPeakRss`, in bytes. */
export function peakRssBytes(pid: number): number {
  return readStatus(pid, 'VmHWM');
}

/** Resets the peak that `peakRssBytes` returns; see proc_pid_clear_refs(5). */
export function resetPeakRss(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function readStatus(pid: number, field: string): number {
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kilobytes === undefined) throw new Error(`no ${field} in /proc`);
  return Number(kilobytes) * 1024;
}

/** `times` are utime, stime, cutime and cstime, in ticks; see proc_pid_stat(5). */
type Stat = { pid: number; parent: number; times: number[] };

function readStat(pid: number): Stat {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the program's name, which may contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { pid, parent: Number(fields[1]), times: fields.slice(11, 15).map(Number) };
}

function readStatIfThere(pid: number): Stat | null {
  try {
    return readStat(pid);
  } catch {
    return null;
  }
}

/**
 * Starts Node with the maximum number of file descriptors, because thousands of sockets need more than a shell usually
 * allows.
 */
function spawnNode(
  script: string,
  { settings = {}, nodeFlags = [] }: Options,
  stdio: ('ignore' | 'inherit' | 'pipe' | 'ipc')[],
): ChildProcess {
  const limit = 'ulimit -n "$(ulimit -Hn)"; exec env "$@"';
  const environment = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const child = spawn('bash', ['-c', limit, 'bash', ...environment, process.execPath, ...nodeFlags, script], { stdio });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/**
 * The child processes that are running. They are stopped when this process exits, for example because a benchmark
 * failed.
 */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill();
});

function toProgram(child: ChildProcess): Program {
  const { pid } = child;
  if (pid === undefined) throw new Error('a process could not be started');
  const ended = once(child, 'exit');
  return {
    pid,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
