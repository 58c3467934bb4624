import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { pino } from 'pino';
import { inject } from 'vitest';
import { endLeftover } from '../../src/postgres/embedded/leftover.ts';
import { databaseUrl, findFreePort, startServer } from '../../src/postgres/embedded/server.ts';
import { openDatabase, type TestDatabase } from './database.ts';
import { configure, copyCluster } from './postgres.ts';
import { startStandby, type Standby } from './standby.ts';
import { cloneStatement } from './template.ts';

/** A PostgreSQL server that a test may break. Removing it also drops all its databases. */
export type FaultyPostgres = {
  /** Creates a migrated database in it. */
  createDatabase: () => Promise<TestDatabase>;
  /** Returns the URL of a database in it for the superuser. */
  urlOf: (name: string) => string;
  /** Runs a statement in the maintenance database. */
  run: (statement: string) => Promise<void>;
  /**
   * Stops it. On SIGINT, it first writes its state to the disk. After SIGQUIT or SIGKILL, the next start replays its
   * log.
   */
  end: (signal: NodeJS.Signals) => Promise<void>;
  /** Starts it again on the same files. */
  resume: () => Promise<void>;
  /** While it is down, `backUp` copies all its files, and `restore` restores that copy. */
  backUp: () => Promise<void>;
  restore: () => Promise<void>;
  /** Starts a standby that replays what this server writes from now on. The caller removes the standby. */
  startStandby: () => Promise<Standby>;
  /** Stops it for good. */
  remove: () => Promise<void>;
};

const log = pino({ level: 'silent' });

/**
 * Starts a PostgreSQL server with these settings in addition to the usual ones. Data survives if the server's process
 * is killed, but not if the power fails, because the data is only in the operating system's cache. The caller removes
 * the server.
 */
export async function startFaultyPostgres(settings: Record<string, string> = {}): Promise<FaultyPostgres> {
  const { directory, cluster } = await copyCluster(inject('clusterFolder'), 'parley-fault-');
  await configure(cluster, settings);
  const port = await findFreePort();
  let server = await startServer(cluster, port, log);
  const urlOf = (name: string) => databaseUrl(cluster, port, name);
  const run = (statement: string) => runIn(urlOf('postgres'), statement);
  const replace = async (folder: string, by: string) => {
    await rm(folder, { recursive: true, force: true });
    await promisify(execFile)('cp', ['-a', by, folder]);
  };
  return {
    run,
    urlOf,
    createDatabase: async () => {
      const name = `parley_${randomBytes(6).toString('hex')}`;
      await run(cloneStatement(name));
      return openDatabase(urlOf(name), () => run(`drop database ${name} with (force)`));
    },
    end: async (signal) => {
      process.kill(Number.parseInt(await readFile(join(cluster.folder, 'postmaster.pid'), 'utf8'), 10), signal);
      await server.ended;
    },
    resume: async () => {
      await endLeftover(cluster.folder, log);
      server = await startServer(cluster, port, log);
    },
    backUp: () => replace(`${cluster.folder}.copy`, cluster.folder),
    restore: () => replace(cluster.folder, `${cluster.folder}.copy`),
    startStandby: () => startStandby(cluster, urlOf('postgres')),
    remove: async () => {
      await server.stop();
      await rm(directory, { recursive: true });
    },
  };
}

async function runIn(connectionString: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
