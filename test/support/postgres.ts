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
  /** Shuts it down, and deletes its files. */
  stop: () => Promise<void>;
};

/**
 * Nothing needs to survive a machine crash, because nothing outlives the run. The last four save a run a seventh
 * of its CPU time: small databases need neither many buffers nor processes that read ahead or vacuum, and no connection
 * has to load PL/pgSQL itself.
 */
const settings = {
  fsync: 'off',
  synchronous_commit: 'off',
  shared_buffers: '32MB',
  io_method: 'sync',
  autovacuum: 'off',
  shared_preload_libraries: 'plpgsql',
};

/** Many connections, for the servers of several workers. No full-page writes: no test kills this PostgreSQL. */
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

/** Copies what `createCluster` made, which takes less time than making another. The caller removes the folder. */
export async function copyCluster(source: string, prefix: string): Promise<{ directory: string; cluster: Cluster }> {
  const directory = await createPostgresFolder(prefix);
  const home = join(directory, 'postgres');
  await promisify(execFile)('cp', ['-a', join(source, 'postgres'), home]);
  return { directory, cluster: await prepareCluster(home, log) };
}

/** Adds settings to those of the cluster. */
export async function configure({ folder }: Cluster, additional: Record<string, string>): Promise<void> {
  const lines = Object.entries(additional).map(([name, value]) => `${name} = ${value}\n`);
  await appendFile(join(folder, 'postgresql.conf'), lines.join(''));
}

/** Starts the bundled PostgreSQL, as the server does, on its own copy of the cluster. */
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
