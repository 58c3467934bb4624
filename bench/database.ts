import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { pino } from 'pino';
import { prepareCluster } from '../src/postgres/embedded/cluster.ts';
import { databaseUrl, findFreePort, startServer } from '../src/postgres/embedded/server.ts';
import { contentOf } from './document.ts';

/** The bundled PostgreSQL in a separate folder, set up as in the product. */
export type Postgres = {
  pid: number;
  version: string;
  createDatabase: () => Promise<Database>;
  stop: () => Promise<void>;
};

/** A database, and a connection that writes to it with plain SQL, as psql would. */
export type Database = { url: string; sql: pg.Pool };

/** A user with a session. */
export type Person = { userId: string; sessionId: string };

/** Starts PostgreSQL with the product's settings plus those that a benchmark adds. */
export async function startPostgres(settings: Record<string, string> = {}): Promise<Postgres> {
  const log = pino({ level: 'silent' });
  const folder = await mkdtemp(join(tmpdir(), 'parley-bench-'));
  const cluster = await prepareCluster(join(folder, 'postgres'), log);
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
  await appendFile(join(cluster.folder, 'postgresql.conf'), lines.join(''));
  const port = await findFreePort();
  const server = await startServer(cluster, port, log);
  const pools: pg.Pool[] = [];
  const open = (name: string, max: number) => {
    const pool = new pg.Pool({ connectionString: databaseUrl(cluster, port, name), max });
    // While it stops, PostgreSQL may close a connection before the pool does.
    pool.on('error', () => undefined);
    pools.push(pool);
    return pool;
  };
  const admin = open('postgres', 1);
  const [pid = ''] = (await readFile(join(cluster.folder, 'postmaster.pid'), 'utf8')).split('\n');
  const { rows } = await admin.query<{ version: string }>(`select current_setting('server_version') as version`);
  return {
    pid: Number(pid),
    version: rows[0]?.version ?? '',
    createDatabase: async () => {
      const name = `bench_${pools.length}`;
      await admin.query(`create database ${name}`);
      return { url: databaseUrl(cluster, port, name), sql: open(name, 2) };
    },
    stop: async () => {
      await Promise.all(pools.map((pool) => pool.end()));
      await server.stop();
      await rm(folder, { recursive: true });
    },
  };
}

/** Adds users who are each signed in on one device. */
export async function addPeople({ sql }: Database, count: number): Promise<Person[]> {
  const { rows } = await sql.query<Person>(
    `with added as (
      insert into users (username, email, display_name)
      select 'person' || n, 'person' || n || '@example.com', 'Person ' || n
      from generate_series(1, $1::int) n
      returning id
    )
    insert into sessions (user_id) select id from added
    returning user_id::text as "userId", id::text as "sessionId"`,
    [count],
  );
  return rows;
}

/** Creates a group with these members in one transaction, as createChat does. Returns its id. */
export async function addGroup({ sql }: Database, people: readonly Person[]): Promise<string> {
  const { rows } = await sql.query<{ id: string }>(
    `with chat as (insert into chats (type, name) values ('GROUP', 'Bench') returning id)
    insert into members (chat_id, user_id) select chat.id, user_id from chat, unnest($1::bigint[]) user_id
    returning chat_id::text as id`,
    [people.map(({ userId }) => userId)],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('a group needs members');
  return row.id;
}

/** Inserts `count` messages with one statement; each message takes the next seq of its chat. */
export async function post(
  { sql }: Database,
  place: { chatId: string; senderId: string },
  count: number,
): Promise<void> {
  const contents = Array.from({ length: count }, (_, index) => contentOf(index));
  await sql.query('insert into messages (chat_id, sender_id, content) select $1, $2, unnest($3::text[])', [
    place.chatId,
    place.senderId,
    contents,
  ]);
}

/**
 * Resolves when the server has indexed all messages for search. Indexing costs more than a replay, so it would distort
 * a measurement.
 */
export async function whenIndexed({ sql }: Database): Promise<void> {
  for (;;) {
    const { rows } = await sql.query<{ isBehind: boolean }>(
      `select coalesce((select position from log_consumers where name = 'search'), 0) < max(id) as "isBehind" from events`,
    );
    if (rows[0]?.isBehind === false) return;
    await sleep(200);
  }
}
