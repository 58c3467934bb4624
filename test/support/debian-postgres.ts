import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { findFreePort } from '../../src/postgres/embedded/server.ts';

const base = '/usr/lib/postgresql';
const run = promisify(execFile);

/**
 * The folder of Debian's PostgreSQL with its tools, which the bundled PostgreSQL lacks. Null if it is not installed, or
 * if the tests do not run as root.
 */
export const debianPrograms =
  process.getuid?.() === 0 && existsSync(base) ? join(base, readdirSync(base).toSorted().at(-1) ?? '', 'bin') : null;

/**
 * Starts Debian's PostgreSQL with an empty database until the test is over. Returns the URL of the database, and a
 * function that runs PostgreSQL's tools.
 */
export async function startDebianPostgres(): Promise<{
  url: string;
  tool: (name: string, args: string[]) => Promise<void>;
}> {
  const programs = debianPrograms ?? '';
  const folder = await mkdtemp(join(tmpdir(), 'parley-debian-'));
  await chmod(folder, 0o777);
  const data = join(folder, 'data');
  const asPostgres = ['-u', 'postgres', '--'];
  const initdb = ['-D', data, '--encoding=UTF8', '--locale=C', '--auth=trust', '--no-sync'];
  await run('runuser', [...asPostgres, join(programs, 'initdb'), ...initdb], { cwd: '/' });
  const port = await findFreePort();
  const settings = [
    '-c',
    `port=${port}`,
    '-c',
    `unix_socket_directories=${folder}`,
    '-c',
    'listen_addresses=127.0.0.1',
  ];
  const server = spawn('runuser', [...asPostgres, join(programs, 'postgres'), '-D', data, ...settings], {
    cwd: '/',
    stdio: 'ignore',
  });
  const ended = once(server, 'exit');
  onTestFinished(async () => {
    await run('runuser', [...asPostgres, join(programs, 'pg_ctl'), 'stop', '-D', data, '-m', 'immediate'], {
      cwd: '/',
    });
    await ended;
    await rm(folder, { recursive: true });
  });
  const server0 = `postgres://postgres@127.0.0.1:${port}`;
  await createDatabase(`${server0}/postgres`);
  const tool = async (name: string, args: string[]) => void (await run(join(programs, name), args, { cwd: '/' }));
  return { url: `${server0}/parley`, tool };
}

/** Creates the database as soon as the server accepts connections. */
async function createDatabase(url: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      await client.query('create database parley');
      return;
    } catch (error) {
      if (attempt === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    } finally {
      await client.end().catch(() => {});
    }
  }
}
