import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { prepareCluster } from '../../src/postgres/embedded/cluster.ts';
import { databaseUrl, findFreePort, startServer } from '../../src/postgres/embedded/server.ts';
import { createPostgresFolder } from './postgres-folder.ts';

/** A PostgreSQL server of this run: `url` is its maintenance database, as the superuser. */
export type TestPostgres = {
  url: string;
  /** Shuts it down; its files stay. */
  halt: () => Promise<void>;
  /** Starts it again on the same files. */
  resume: () => Promise<void>;
  /** Shuts it down for good, and deletes its files. */
  stop: () => Promise<void>;
};

/**
 * Nothing needs to survive a crash, because nothing outlives the run; and several workers' servers need connections.
 * The last four take a seventh of the CPU time off a run: small databases need neither many buffers nor processes that
 * read ahead or vacuum, and connections need not load PL/pgSQL one by one.
 */
const settings = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '400',
  shared_buffers: '32MB',
  io_method: 'sync',
  autovacuum: 'off',
  shared_preload_libraries: 'plpgsql',
};

/** Starts the bundled PostgreSQL, as the server does, but in its own directory. */
export async function startPostgres(): Promise<TestPostgres> {
  const log = pino({ level: 'silent' });
  const directory = await createPostgresFolder('parley-test-');
  const cluster = await prepareCluster(join(directory, 'postgres'), log);
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
  await appendFile(join(cluster.folder, 'postgresql.conf'), lines.join(''));
  const port = await findFreePort();
  let server = await startServer(cluster, port, log);
  return {
    url: databaseUrl(cluster, port, 'postgres'),
    halt: () => server.stop(),
    resume: async () => {
      server = await startServer(cluster, port, log);
    },
    stop: async () => {
      await server.stop();
      await rm(directory, { recursive: true });
    },
  };
}
