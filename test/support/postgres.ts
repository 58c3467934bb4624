import { execFile } from 'node:child_process';
import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { type Cluster, prepareCluster } from '../../src/postgres/embedded/cluster.ts';
import { databaseUrl, findFreePort, startServer } from '../../src/postgres/embedded/server.ts';
import { createPostgresFolder } from './postgres-folder.ts';
import { createTemplate } from './template.ts';

/** A PostgreSQL server of this run: `url` connects to its maintenance database as the superuser. */
export type TestPostgres = {
  url: string;
  /** Shuts the server down, and deletes its files. */
  stop: () => Promise<void>;
};

/**
 * Nothing needs to survive a crash of the machine, because nothing is needed after the run. The last four settings save
 * a seventh of a run's CPU time. Small databases need neither many buffers nor processes that read ahead or vacuum, and
 * connections do not have to load PL/pgSQL themselves.
 */
const settings = {
  fsync: 'off',
  synchronous_commit: 'off',
  shared_buffers: '32MB',
  io_method: 'sync',
  autovacuum: 'off',
  shared_preload_libraries: 'plpgsql',
};

/**
 * Many connections are allowed, because the servers of several workers use this PostgreSQL. Full-page writes are off,
 * because no test kills this PostgreSQL.
 */
const runSettings = { max_connections: '400', full_page_writes: 'off' };

const log = pino({ level: 'silent' });

/** Creates a cluster that contains the migrated template, and leaves it stopped. The caller removes the folder. */
export async function createCluster(): Promise<string> {
  const directory = await createPostgresFolder('parley-cluster-');
  const cluster = await prepareCluster(join(directory, 'postgres'), log);
  await configure(cluster, settings);
  const port = await findFreePort();
  const server = await startServer(cluster, port, log);
  await createTemplate((name) => databaseUrl(cluster, port, name));
  await server.stop();
  return directory;
}

/**
 * Copies the cluster that `createCluster` made, which takes less time than making another one. The caller removes the
 * folder.
 */
export async function copyCluster(source: string, prefix: string): Promise<{ directory: string; cluster: Cluster }> {
  const directory = await createPostgresFolder(prefix);
  const home = join(directory, 'postgres');
  await promisify(execFile)('cp', ['-a', join(source, 'postgres'), home]);
  return { directory, cluster: await prepareCluster(home, log) };
}

/** Adds settings to the configuration of the cluster. */
export async function configure({ folder }: Cluster, additional: Record<string, string>): Promise<void> {
  const lines = Object.entries(additional).map(([name, value]) => `${name} = ${value}\n`);
  await appendFile(join(folder, 'postgresql.conf'), lines.join(''));
}

/** Starts the bundled PostgreSQL on a separate copy of the cluster, in the same way as the server does. */
export async function startPostgres(source: string): Promise<TestPostgres> {
  const { directory, cluster } = await copyCluster(source, 'parley-test-');
  await configure(cluster, runSettings);
  const port = await findFreePort();
  const server = await startServer(cluster, port, log);
  return {
    url: databaseUrl(cluster, port, 'postgres'),
    stop: async () => {
      await server.stop();
      await rm(directory, { recursive: true });
    },
  };
}
