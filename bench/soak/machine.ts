import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { pino } from 'pino';
import { prepareCluster } from '../../src/postgres/embedded/cluster.ts';
import { endLeftover } from '../../src/postgres/embedded/leftover.ts';
import { databaseUrl, findFreePort, startServer as startCluster } from '../../src/postgres/embedded/server.ts';
import type { HeapMethods } from '../heap.ts';
import { startServer, type Program } from '../process.ts';
import { startRedis, type Redis } from '../redis.ts';
import type { Remote } from '../remote.ts';
import { keySet } from '../server.ts';
import { openProxy, type Proxy } from './proxy.ts';

/** A node with its own proxies to PostgreSQL and Redis. */
export type Node = {
  name: string;
  /** The address that clients connect to; null while the node is down. */
  url: string | null;
  program: (Program & { remote: Remote<HeapMethods> }) | null;
  /** Whether the node is paused by SIGSTOP, so that it cannot answer. */
  isPaused: boolean;
  toPostgres: Proxy;
  toRedis: Proxy;
  start: () => Promise<void>;
  kill: () => Promise<void>;
};

/** Two nodes, PostgreSQL and Redis, each of which can be broken. */
export type Machine = {
  nodes: Node[];
  redis: Redis;
  /** A connection to the database that bypasses the proxies, to check what the database really contains. */
  sql: pg.Pool;
  endPostgres: (signal: NodeJS.Signals) => Promise<void>;
  startPostgres: () => Promise<void>;
  stop: () => Promise<void>;
};

const log = pino({ level: 'silent' });

/**
 * `fsync` is off, because data that a killed process has written is in the operating system's cache, which survives.
 */
const postgresSettings = 'fsync = off\nmax_connections = 150\n';

/** Starts PostgreSQL, Redis and two nodes, which use Redis only if `hasRedis`. */
export async function startMachine({ hasRedis }: { hasRedis: boolean }): Promise<Machine> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-soak-'));
  const cluster = await prepareCluster(join(folder, 'postgres'), log);
  await appendFile(join(cluster.folder, 'postgresql.conf'), postgresSettings);
  const port = await findFreePort();
  let server = await startCluster(cluster, port, log);
  const url = databaseUrl(cluster, port, 'postgres');
  const sql = new pg.Pool({ connectionString: url, max: 3, connectionTimeoutMillis: 2_000 });
  sql.on('error', () => undefined);
  const redis = await startRedis();
  const nodes: Node[] = [];
  for (const name of ['A', 'B']) {
    const toPostgres = await openProxy({ host: '127.0.0.1', port });
    const toRedis = await openProxy({ host: '127.0.0.1', port: redis.port });
    const settings = {
      DATABASE_URL: toPostgres.through(url),
      DATA_DIR: join(folder, 'data'),
      ...(hasRedis && { REDIS_URL: toRedis.through(redis.url) }),
    };
    nodes.push(createNode(name, settings, { toPostgres, toRedis }));
  }
  // The nodes start one after the other, because the first one applies the migrations.
  for (const node of nodes) await node.start();
  return {
    nodes,
    redis,
    sql,
    endPostgres: async (signal) => {
      process.kill(Number.parseInt(await readFile(join(cluster.folder, 'postmaster.pid'), 'utf8'), 10), signal);
      await server.ended;
    },
    startPostgres: async () => {
      await endLeftover(cluster.folder, log);
      server = await startCluster(cluster, port, log);
    },
    stop: async () => {
      await Promise.all(nodes.map((node) => node.kill()));
      await sql.end();
      await Promise.all(nodes.flatMap(({ toPostgres, toRedis }) => [toPostgres.close(), toRedis.close()]));
      await redis.stop();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function createNode(
  name: string,
  settings: Record<string, string>,
  proxies: Pick<Node, 'toPostgres' | 'toRedis'>,
): Node {
  const node: Node = {
    ...proxies,
    name,
    url: null,
    program: null,
    isPaused: false,
    start: async () => {
      const program = await startServer<HeapMethods>('src/main.ts', {
        settings: { ...settings, PORT: '0', JWT_KEYS: keySet, LOG_LEVEL: 'info', RATE_LIMITS: 'off' },
        hidesErrors: true,
        nodeFlags: ['--max-semi-space-size=32', '--expose-gc', '--import', './bench/heap-watch.ts'],
      });
      [node.program, node.url] = [program, program.url];
    },
    kill: async () => {
      const { program } = node;
      [node.program, node.url] = [null, null];
      if (program === null) return;
      process.kill(program.pid, 'SIGKILL');
      await Promise.race([program.stop(), sleep(2_000)]);
    },
  };
  return node;
}
