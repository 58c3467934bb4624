import process from 'node:process';
import type pg from 'pg';
import { pino } from 'pino';
import { applyMigrations } from '../src/postgres/migration.ts';
import { printMessage } from '../src/search/search-token.ts';
import type { Report } from './bench.ts';
import { startPostgres } from './database.ts';
import { familyCpuMs } from './process.ts';
import { print, save } from './result.ts';

const isQuick = process.argv.includes('--quick');
/** Use `--rows=1000000` for a shorter run. */
const rowsOption = process.argv.find((argument) => argument.startsWith('--rows='))?.slice('--rows='.length);
const messageCount = isQuick ? 200_000 : Number(rowsOption ?? 10_000_000);
const batch = messageCount / 20;
const chatCount = messageCount / 1_000;
const userCount = chatCount;
const partitionCount = 8;
const tables = ['messages', 'search_entries', 'events', 'chats'];
/** How many messages are indexed at once. */
const entryBatch = 5_000;
/** How many events `measurePruning` deletes. */
const sampleCount = messageCount / 10;

type Cost = { seconds: number; cpuMs: number };

/** Nothing here needs to survive a crash, and vacuum must not start on its own. */
const postgres = await startPostgres({
  fsync: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
  shared_buffers: '2GB',
  maintenance_work_mem: '256MB',
  max_wal_size: '8GB',
  checkpoint_timeout: '1h',
});
try {
  const { sql, url } = await postgres.createDatabase();
  await applyMigrations(url, 'prisma/migrations', pino({ level: 'silent' }));
  await prepare(sql);
  const reports = [
    await measureGrowth(sql),
    await measureVacuum(sql),
    await measurePruning(sql),
    await measurePartitions(sql),
  ];
  process.stdout.write(`${print(reports)}\n`);
  if (!isQuick) await save(reports, postgres.version, 'tables');
} finally {
  await postgres.stop();
}

/**
 * Adds users and chats, and disables the triggers while rows are loaded, because loading would take an hour with them.
 */
async function prepare(sql: pg.Pool): Promise<void> {
  await sql.query(
    `insert into users (username, email, display_name)
    select 'person' || n, 'person' || n || '@example.com', 'Person ' || n from generate_series(1, $1::int) n`,
    [userCount],
  );
  await sql.query(`insert into chats (type, name) select 'GROUP', 'Bench' from generate_series(1, $1::int)`, [
    chatCount,
  ]);
  for (const table of tables) await sql.query(`alter table ${table} disable trigger all`);
  await sql.query('delete from events');
  // With the limit that the migrations set, merging GIN's pending list into the index would take three quarters of the
  // loading time.
  await sql.query('alter index search_entries_tokens_idx set (gin_pending_list_limit = 65536)');
}

/**
 * Loads the messages in twenty parts, with an event for each message. Cycles through the chats, to match the order in
 * which a server would receive the messages.
 */
async function measureGrowth(sql: pg.Pool): Promise<Report> {
  const parts: { rows: number; cost: Cost; indexing: Cost; bytes: Map<string, number> }[] = [];
  for (let from = 0; from < messageCount; from += batch) {
    const cost = await measure(() => loadMessages(sql, from));
    const indexing = await measure(() => loadEntries(sql, from));
    await loadEvents(sql, from);
    parts.push({ rows: from + batch, cost, indexing, bytes: await readSizes(sql) });
    process.stderr.write(
      `${from + batch} messages: ${cost.seconds.toFixed(0)} s, ${JSON.stringify([...(parts.at(-1)?.bytes ?? [])])}\n`,
    );
  }
  const shown = parts.filter((_, index) => index === 0 || index === 9 || index === 19);
  const relations = [...(parts.at(-1)?.bytes.keys() ?? [])];
  return {
    title: `Bytes per row, of ${messageCount} messages and as many events`,
    columns: ['relation', ...shown.map(({ rows }) => `at ${rows} rows`), 'GB at 1 billion'],
    rows: [
      ...relations.map((name) => {
        const perRow = shown.map(({ rows, bytes }) => (bytes.get(name) ?? 0) / rows);
        return [name, ...perRow.map((bytes) => bytes.toFixed(1)), (perRow.at(-1) ?? 0).toFixed(0)];
      }),
      [
        'CPU µs to insert a message, without triggers and foreign keys',
        ...shown.map(({ cost }) => microseconds(cost, batch)),
        '',
      ],
      [
        'CPU µs of PostgreSQL to index it for search',
        ...shown.map(({ indexing }) => microseconds(indexing, batch)),
        '',
      ],
    ],
    notes: [
      `${chatCount} chats in turn, messages of 8 words on average from a vocabulary of 50,000, sent with a clientMessageId; every tenth is a reply.`,
    ],
    goals: [],
  };
}

async function loadMessages(sql: pg.Pool, from: number): Promise<void> {
  await sql.query(
    `insert into messages (chat_id, seq, sender_id, content, reply_to_seq, client_message_id)
    select 1 + n % $3, 1 + n / $3, 1 + (n * 7919) % $3, words.text,
      case when n / $3 > 5 and n % 10 = 9 then n / $3 - 4 end, gen_random_uuid()::text
    from generate_series($1::bigint, $2::bigint) n cross join lateral (
      select string_agg('w' || floor(50000 * power(random(), 3))::int, ' ') as text
      from generate_series(1, 4 + (n * 31) % 9)
    ) words`,
    [from, from + batch - 1, chatCount],
  );
}

/** Indexes the messages in the same way as the server. */
async function loadEntries(sql: pg.Pool, from: number): Promise<void> {
  for (let first = from + 1; first <= from + batch; first += entryBatch) {
    const { rows } = await sql.query<{ id: string; chatId: string; senderId: string; content: string }>(
      `select id, chat_id as "chatId", sender_id as "senderId", content from messages where id between $1 and $2`,
      [first, Math.min(first + entryBatch - 1, from + batch)],
    );
    const tokens = rows.map(({ id, chatId, senderId, content }) =>
      printMessage({
        id: BigInt(id),
        chatId: BigInt(chatId),
        senderId: BigInt(senderId),
        content,
        isPublic: false,
        hasFile: false,
        hasPicture: false,
      }),
    );
    await sql.query('insert into search_entries (message_id, tokens) select * from unnest($1::bigint[], $2::text[])', [
      rows.map(({ id }) => id),
      tokens,
    ]);
  }
}

async function loadEvents(sql: pg.Pool, from: number): Promise<void> {
  await sql.query(
    `insert into events (id, at, kind, audience, chat_id, actor_id, message_id, seq, version)
    select n + 1, now() - interval '8 days' + n * (interval '8 days' / $4), 'NewMessage', 'CHAT', 1 + n % $3,
      1 + (n * 7919) % $3, n + 1, 1 + n / $3, 1
    from generate_series($1::bigint, $2::bigint) n`,
    [from, from + batch - 1, chatCount, messageCount],
  );
}

async function readSizes(sql: pg.Pool): Promise<Map<string, number>> {
  const { rows } = await sql.query<{ name: string; bytes: string }>(
    `select c.relname as name, pg_relation_size(c.oid) as bytes from pg_class c
    left join pg_index i on i.indexrelid = c.oid
    where coalesce(i.indrelid, c.oid) in ('messages'::regclass, 'search_entries'::regclass, 'events'::regclass)
    order by coalesce(i.indrelid, c.oid) desc, i.indrelid is not null, c.relname`,
  );
  return new Map(rows.map(({ name, bytes }) => [name, Number(bytes)]));
}

/** Vacuums the messages after they are loaded, and again after 0.5, 2 and 10 % of them are changed. */
async function measureVacuum(sql: pg.Pool): Promise<Report> {
  const rows: string[][] = [];
  const vacuum = async (what: string) => {
    const cost = await measure(() => sql.query('vacuum messages, search_entries'));
    rows.push([what, cost.seconds.toFixed(1), (cost.cpuMs / 1_000).toFixed(1)]);
    process.stderr.write(`vacuum, ${what}: ${cost.seconds.toFixed(1)} s\n`);
  };
  await vacuum('all rows new');
  await vacuum('nothing new');
  for (const [percent, name] of [
    [0.5, 'in consecutive rows'],
    [0.5, 'spread'],
    [2, 'spread'],
    [10, 'spread'],
  ] as const) {
    const many = (messageCount * percent) / 100;
    const [first, every] = name === 'spread' ? [1, messageCount / many] : [1, 1];
    await sql.query(
      `with deleted as (
        update messages set content = null, deleted_at = now(), version = version + 1
        where id = any (array(select $1::bigint + n * $2::bigint from generate_series(0, $3::int - 1) n)) returning id
      )
      delete from search_entries using deleted where message_id = deleted.id`,
      [first, every, many],
    );
    await vacuum(`${percent} % changed, ${name}`);
  }
  return {
    title: 'VACUUM of messages and of their entries in the search index',
    columns: ['when', 'seconds', 'CPU s'],
    rows,
    notes: [],
    goals: [],
  };
}

/** Deletes the oldest tenth of the events as housekeeping does, and vacuums. */
async function measurePruning(sql: pg.Pool): Promise<Report> {
  await sql.query('vacuum (analyze) events');
  const deletion = await measure(async () => {
    for (let through = 1_000; through <= sampleCount; through += 1_000) {
      await sql.query(
        `with oldest as materialized (select e.id from events e order by id limit 1000), prefix as (
          select max(id) as through from oldest
        )
        delete from events using prefix where id <= prefix.through`,
      );
    }
  });
  const vacuum = await measure(() => sql.query('vacuum events'));
  const row = (name: string, cost: Cost) => [name, microseconds(cost, sampleCount), cost.seconds.toFixed(1)];
  return {
    title: `Pruning ${sampleCount} of ${messageCount} events`,
    columns: ['step', 'CPU µs per event', 'seconds'],
    rows: [row('delete in batches of 1000', deletion), row('vacuum afterwards', vacuum)],
    notes: [],
    goals: [],
  };
}

/** Measures the cost of inserting into, reading and dropping the same log in eight partitions. */
async function measurePartitions(sql: pg.Pool): Promise<Report> {
  const plain = await measureLog(sql, 'events');
  await sql.query(`create table parts (like events including defaults including constraints) partition by range (at)`);
  await sql.query('alter table parts add primary key (id, at)');
  await sql.query('create index on parts (chat_id, id)');
  await sql.query('create index on parts (user_id, id)');
  await sql.query(`create index on parts (id) where audience = 'ACQUAINTANCES'`);
  for (let part = 0; part < partitionCount; part += 1) {
    await sql.query(
      `do $$ begin execute format('create table parts_${part} partition of parts for values from (%L) to (%L)',
        date_trunc('day', now()) - interval '8 days' + ${part} * interval '1 day',
        date_trunc('day', now()) - interval '7 days' + ${part} * interval '1 day'); end $$`,
    );
  }
  await sql.query('create table parts_rest partition of parts default');
  await sql.query(`insert into parts select * from events order by id`);
  await sql.query('vacuum (analyze) parts');
  const parts = await measureLog(sql, 'parts');
  const drop = await measure(() => sql.query('drop table parts_1'));
  const row = (name: string, one: string, other: string) => [name, one, other];
  return {
    title: 'The log in one table, and in a partition a day',
    columns: ['step', 'one table', 'partitions'],
    rows: [
      ...plain.map(([name, value], index) => row(name, value, parts[index]?.[1] ?? '')),
      row('drop one day, seconds', '', drop.seconds.toFixed(3)),
    ],
    notes: ['Microseconds of CPU time, one statement at a time; reads find 100 events.'],
    goals: [],
  };
}

async function measureLog(sql: pg.Pool, table: string): Promise<[string, string][]> {
  const many = isQuick ? 20_000 : 200_000;
  const loop = (body: string, times: number) =>
    measure(() =>
      sql.query(`do $$ declare low bigint; high bigint; begin
        select min(id), max(id) into low, high from ${table};
        for n in 1..${times} loop ${body} end loop; end $$`),
    );
  const insert = await loop(
    `insert into ${table} (id, at, kind, audience, chat_id, actor_id, message_id, seq, version)
    values (high + n, clock_timestamp(), 'NewMessage', 'CHAT', n % ${chatCount} + 1, 1, n, n, 1);`,
    many,
  );
  const times = many / 10;
  const tail = await loop(`perform id from ${table} where id > high - 100 order by id limit 100;`, times);
  const catchUp = await loop(
    `perform id from ${table} where chat_id = n % ${chatCount} + 1 and id > high - 100 * ${chatCount} order by id limit 100;`,
    times,
  );
  const known = await loop(`perform from ${table} where id = low + n;`, times);
  return [
    ['insert an event', microseconds(insert, many)],
    ['read 100 events after a cursor near the end', microseconds(tail, times)],
    ['catch up with one chat', microseconds(catchUp, times)],
    ['look up whether a cursor is known', microseconds(known, times)],
  ];
}

async function measure(work: () => Promise<unknown>): Promise<Cost> {
  const before = { at: performance.now(), cpuMs: familyCpuMs(postgres.pid) };
  await work();
  return { seconds: (performance.now() - before.at) / 1_000, cpuMs: familyCpuMs(postgres.pid) - before.cpuMs };
}

function microseconds({ cpuMs }: Cost, many: number): string {
  return ((cpuMs * 1_000) / many).toFixed(1);
}
