import { execFile } from 'node:child_process';
import { appendFile, chown, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { pino } from 'pino';
import type { Cluster } from '../../src/postgres/embedded/cluster.ts';
import { databaseUrl, findFreePort, startServer } from '../../src/postgres/embedded/server.ts';

/** A PostgreSQL server that replays what another server writes, until it is promoted. */
export type Standby = {
  /** Returns the URL of a database in it for the superuser. */
  urlOf: (name: string) => string;
  /** Makes the standby a primary. The primary that it followed should be dead by then. */
  promote: () => Promise<void>;
  /** Stops it for good. */
  remove: () => Promise<void>;
};

/**
 * Starts a streaming standby of the cluster at `primaryUrl`, from a base backup (a copy made while the primary runs).
 */
export async function startStandby(primary: Cluster, primaryUrl: string): Promise<Standby> {
  const log = pino({ level: 'silent' });
  const directory = await mkdtemp(join(tmpdir(), 'parley-standby-'));
  const home = join(directory, 'postgres');
  const cluster: Cluster = { ...primary, folder: join(home, 'cluster') };
  await mkdir(home);
  const label = await copyCluster(primaryUrl, primary.folder, cluster.folder);
  const { hostname, port, username, password } = new URL(primaryUrl);
  await writeFile(join(cluster.folder, 'backup_label'), label);
  await writeFile(join(cluster.folder, 'standby.signal'), '');
  await appendFile(
    join(cluster.folder, 'postgresql.auto.conf'),
    `primary_conninfo = 'host=${hostname} port=${port} user=${username} password=${password}'\n`,
  );
  if (cluster.owner !== null) {
    const { uid, gid } = cluster.owner;
    for (const path of [directory, home]) await chown(path, uid, gid);
    await promisify(execFile)('chown', ['-R', `${uid}:${gid}`, cluster.folder]);
  }
  const ownPort = await findFreePort();
  const server = await startServer(cluster, ownPort, log);
  const urlOf = (name: string) => databaseUrl(cluster, ownPort, name);
  return {
    urlOf,
    promote: () => run(urlOf('postgres'), async (client) => void (await client.query('select pg_promote(true, 20)'))),
    remove: async () => {
      await server.stop();
      await rm(directory, { recursive: true });
    },
  };
}

/** Copies the files of a running server, without its write-ahead log. Returns the label that a restore needs. */
async function copyCluster(url: string, from: string, to: string): Promise<string> {
  let label = '';
  await run(url, async (client) => {
    await client.query("select pg_backup_start('standby', true)");
    await cp(from, to, { recursive: true, filter: (path) => !path.endsWith('.pid') && !path.includes('/pg_wal/') });
    const { rows } = await client.query<{ labelfile: string }>('select labelfile from pg_backup_stop(false)');
    label = rows[0]?.labelfile ?? '';
  });
  for (const folder of ['archive_status', 'summaries']) await mkdir(join(to, 'pg_wal', folder), { recursive: true });
  return label;
}

async function run(connectionString: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
