import { access, constants, mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import pg from 'pg';
import type { Logger } from 'pino';
import { CannotStart } from '../../errors.ts';
import { applicationRole, type Cluster, prepareCluster } from './cluster.ts';
import { endLeftover } from './leftover.ts';
import { lockDataDir } from './lock.ts';
import { applicationUrl, databaseUrl, findFreePort, type RunningPostgres, startServer } from './server.ts';

const databaseName = 'parley';

/**
 * Runs an embedded PostgreSQL until `stop` is called. Its data persists in `dataDir` across starts. While
 * it runs, `dataDir`/database-url contains its URL, for psql. If it exits unexpectedly, it is restarted at the same
 * URL. Throws CannotStart if another server uses `dataDir`, or if PostgreSQL can't run here.
 */
export async function startEmbeddedPostgres(
  dataDir: string,
  log: Logger,
): Promise<{ url: string; stop: () => Promise<void> }> {
  const folder = resolve(dataDir);
  await openFolder(folder);
  await using started = new AsyncDisposableStack();
  const lock = lockDataDir(folder);
  started.defer(lock.release);

  const cluster = await prepareCluster(join(folder, 'postgres'), log);
  const { port, server } = await startOnFreePort(cluster, log);
  started.defer(keepRunning(server, () => startAt(cluster, port, log), log));
  await createDatabase(cluster, port);

  const url = applicationUrl(cluster, port, databaseName);
  const urlFile = join(folder, 'database-url');
  // Remove the file first, because a file that a killed server left behind may belong to another user.
  await rm(urlFile, { force: true });
  await writeFile(urlFile, `${url}\n`, { mode: 0o600 });
  started.defer(() => rm(urlFile, { force: true }));
  log.info(`PostgreSQL is running on port ${port}; its files are in ${cluster.folder}`);

  const running = started.move();
  return { url, stop: () => running.disposeAsync() };
}

async function openFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new CannotStart(`Cannot use DATA_DIR: ${(error as Error).message}.`, { cause: error });
  }
}

async function startOnFreePort(cluster: Cluster, log: Logger): Promise<{ port: number; server: RunningPostgres }> {
  for (let attempt = 1; ; attempt++) {
    const port = await findFreePort();
    try {
      return { port, server: await startAt(cluster, port, log) };
    } catch (error) {
      // Another process has taken the port since `findFreePort` returned.
      const isTaken = error instanceof CannotStart && error.message.includes('could not create any TCP/IP sockets');
      if (!isTaken || attempt === 5) throw error;
    }
  }
}

async function startAt(cluster: Cluster, port: number, log: Logger): Promise<RunningPostgres> {
  await endLeftover(cluster.folder, log);
  return startServer(cluster, port, log);
}

/** Restarts the server whenever it exits. Returns a function that stops it for good. */
function keepRunning(first: RunningPostgres, start: () => Promise<RunningPostgres>, log: Logger): () => Promise<void> {
  let current = Promise.resolve(first);
  let isStopping = false;
  const watch = async (): Promise<void> => {
    await (
      await current
    ).ended;
    if (isStopping) return;
    log.error('PostgreSQL exited unexpectedly; restarting it');
    current = start();
    await watch();
  };
  void watch();
  return async () => {
    isStopping = true;
    await (await current).stop();
  };
}

/**
 * Creates the application's role and database, unless an earlier start has done so. The role owns the database and may
 * create more roles (with psql, for bridges and reports), but none with more rights than its own.
 */
async function createDatabase(cluster: Cluster, port: number): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl(cluster, port, 'postgres') });
  await client.connect();
  try {
    const roles = await client.query('select from pg_roles where rolname = $1', [applicationRole]);
    if (roles.rowCount === 0) {
      const password = client.escapeLiteral(cluster.passwords.application);
      // This is sent as one message, which PostgreSQL runs as one transaction, so that an interrupted start leaves
      // either all of it or nothing.
      await client.query(`
        create role ${applicationRole} login createrole password ${password};
        alter role ${applicationRole} set createrole_self_grant = 'set, inherit';
        grant pg_monitor to ${applicationRole}`);
    }
    const { rowCount } = await client.query('select from pg_database where datname = $1', [databaseName]);
    if (rowCount === 0) await client.query(`create database ${databaseName} owner ${applicationRole}`);
  } finally {
    await client.end();
  }
}
