import process from 'node:process';
import type pg from 'pg';
import { pino } from 'pino';
import { visibleFrom } from '../src/chat/visibility.ts';
import { connectDatabase, disconnectDatabase } from '../src/postgres/client.ts';
import { applyMigrations } from '../src/postgres/migration.ts';
import { searchMessages, readRequest, type MessageSort } from '../src/search/search.ts';
import type { SearchFilter } from '../src/search/search-statement.ts';
import { printMessage } from '../src/search/search-token.ts';
import { SearchTurns } from '../src/search/search-turn.ts';
import type { Goal, Report } from './bench.ts';
import { startPostgres } from './database.ts';
import { measureIndexing } from './indexing.ts';
import { randomFrom } from './random.ts';
import { print, save } from './result.ts';
import { measureTokeniser } from './tokeniser.ts';
import { percentile } from './statistic.ts';

const isQuick = process.argv.includes('--quick');
const messageCount = isQuick ? 50_000 : 1_000_000;
const runs = isQuick ? 5 : 50;
const groupCount = isQuick ? 500 : 5_000;
const channelCount = isQuick ? 101 : 1_001;
/** The number of groups that the viewer is a member of. */
const joinedCount = 50;
const batchSize = 5_000;

const none: SearchFilter = {
  chatId: null,
  senderId: null,
  sentAfter: null,
  sentBefore: null,
  has: null,
  mentionsViewer: null,
  isPinned: null,
};

const tokeniser = measureTokeniser();
const postgres = await startPostgres({ fsync: 'off', shared_buffers: '1GB', max_wal_size: '4GB', jit: 'off' });
try {
  const { sql, url } = await postgres.createDatabase();
  await applyMigrations(url, 'prisma/migrations', pino({ level: 'silent' }));
  await fill(sql);
  const db = connectDatabase({ url, maxConnections: 2, statementTimeoutMs: 60_000, onError: () => undefined });
  const reports = [await measureSize(sql), await measureSearches(db.pool), tokeniser];
  await disconnectDatabase(db);
  const another = await postgres.createDatabase();
  await applyMigrations(another.url, 'prisma/migrations', pino({ level: 'silent' }));
  reports.push(await measureIndexing(postgres, another, isQuick ? 5_000 : 20_000));
  process.stdout.write(`${print(reports)}\n`);
  if (!isQuick) await save(reports, postgres.version, 'search');
} finally {
  await postgres.stop();
}

/**
 * Words are distributed as in natural language: the n-th most common word is n times rarer than the most common one.
 */
function createWriter(random: () => number): () => string {
  const letters = 'eeeetttaaooinnsshrrdlucmfwypvbgkjqxz';
  const words = Array.from({ length: 20_000 }, () =>
    Array.from(
      { length: 1 + Math.floor(random() * random() * 12) },
      () => letters[Math.floor(random() * letters.length)],
    ).join(''),
  );
  return () => {
    const length = 4 + Math.floor(random() * 24);
    return Array.from({ length }, () => words[Math.floor(words.length ** random()) - 1] ?? 'a').join(' ');
  };
}

/**
 * Inserts the messages, their index entries, and the rows of `peer`, which has the same texts indexed by PostgreSQL's
 * own text search.
 */
async function fill(sql: pg.Pool): Promise<void> {
  await sql.query(`insert into users (username, email) select n, n || '@example.com'
    from unnest(array['viewer', 'stranger', 'writer']) n`);
  await sql.query(
    `insert into chats (type, name) select case when n <= $1 then 'GROUP' else 'PUBLIC_CHANNEL' end::chat_type, 'Bench'
    from generate_series(1, $1::int + $2::int) n`,
    [groupCount, channelCount],
  );
  await sql.query('insert into members (chat_id, user_id) select n, 1 from generate_series(1, $1::int) n', [
    joinedCount,
  ]);
  await sql.query('delete from search_chat_backlog');
  await sql.query('create table peer (message_id bigint primary key, words tsvector not null)');
  await sql.query('create index on peer using gin (words)');
  await sql.query('alter table messages disable trigger all');
  const random = randomFrom(15);
  const write = createWriter(random);
  const chatCount = groupCount + channelCount;
  for (let from = 0; from < messageCount; from += batchSize) {
    const batch = Array.from({ length: batchSize }, (_, index) => {
      const number = from + index;
      const chat = (number % chatCount) + 1;
      const message = {
        id: BigInt(number + 1),
        chatId: BigInt(chat),
        isPublic: chat > groupCount,
        senderId: 3n,
        content: write(),
        hasFile: false,
        hasPicture: false,
      };
      return { ...message, seq: Math.floor(number / chatCount) + 1 };
    });
    const columns = [batch.map(({ id }) => id), batch.map(({ content }) => content)];
    await sql.query(
      `insert into messages (id, content, chat_id, seq, sender_id)
      select id, content, chat_id, seq, 3 from unnest($1::bigint[], $2::text[], $3::bigint[], $4::int[]) as m (id, content, chat_id, seq)`,
      [...columns, batch.map(({ chatId }) => chatId), batch.map(({ seq }) => seq)],
    );
    await sql.query('insert into search_entries select * from unnest($1::bigint[], $2::text[])', [
      columns[0],
      batch.map(printMessage),
    ]);
    await sql.query(
      `insert into peer select id, to_tsvector('simple', content) from unnest($1::bigint[], $2::text[]) as m (id, content)`,
      columns,
    );
  }
  await sql.query('alter table messages enable trigger all');
  await sql.query('vacuum analyze');
}

async function measureSize(sql: pg.Pool): Promise<Report> {
  const { rows } = await sql.query<{ text: number; entries: number; index: number; peer: number }>(
    `select sum(octet_length(content))::float8 as text, pg_table_size('search_entries')::float8 as entries,
      pg_indexes_size('search_entries')::float8 as index, pg_total_relation_size('peer')::float8 as peer from messages`,
  );
  const { text = 1, entries = 0, index = 0, peer = 0 } = rows[0] ?? {};
  const ratio = (bytes: number) => (bytes / text).toFixed(2);
  return {
    title: 'Size, in bytes for each byte of text',
    columns: ['text per message', 'indexes', 'table', 'in total', "PostgreSQL's own, in total"],
    rows: [
      [`${Math.round(text / messageCount)} bytes`, ratio(index), ratio(entries), ratio(index + entries), ratio(peer)],
    ],
    notes: [],
    goals: [{ name: 'the index, for each byte of text', value: index / text, atMost: 2, unit: '' }],
  };
}

type Measured = { p50: number; p99: number; buffers: number };

type Case = { name: string; text: string | null; filter?: Partial<SearchFilter>; sort?: MessageSort; viewer?: bigint };

async function measureSearches(sql: pg.Pool): Promise<Report> {
  const words = await listWords(sql);
  const cases: Case[] = [
    { name: 'a common word', text: words.common },
    { name: 'a rare word', text: words.rare },
    { name: 'two common words', text: `${words.common} ${words.second}` },
    { name: 'a common phrase', text: `"${words.common} ${words.second}"` },
    { name: 'a prefix of one letter', text: 'a' },
    { name: 'two prefixes of one letter', text: 'a b' },
    { name: 'a filter alone', text: null, filter: { senderId: 3n } },
    { name: 'two common words, by relevance', text: `${words.common} ${words.second}`, sort: 'RELEVANCE' },
    { name: 'a common word, for a viewer who sees none of its groups', text: words.common, viewer: 2n },
    { name: 'a word in hidden groups only, for the same viewer', text: 'hiddenword', viewer: 2n },
    { name: 'the same, for a viewer who sees them', text: 'hiddenword' },
  ];
  await hideWord(sql);
  const rows: (string | number)[][] = [];
  const measured = new Map<string, Measured>();
  for (const each of cases) {
    const one = await measure(sql, (pool) => search(pool, each));
    measured.set(each.name, one);
    rows.push(describe(each.name, one));
  }
  // Like parley's own search, this statement uses an index and applies the visibility rule.
  const own = `with hit as materialized (
      select message_id from peer where words @@ to_tsquery('simple', 'a:* & b:*'))
    select m.id from hit join messages m on m.id = hit.message_id join chats c on c.id = m.chat_id
    where m.seq >= ${visibleFrom('c', '1')} order by m.id desc limit 51`;
  const peer = await measure(sql, (pool) => pool.query(own));
  rows.push(describe("PostgreSQL's own: 'a:* & b:*'", peer));
  return {
    title: `Searches in ${messageCount.toLocaleString('en')} messages`,
    columns: ['search', 'p50 ms', 'p99 ms', 'buffers'],
    rows,
    notes: [],
    goals: listGoals(measured, peer),
  };
}

function listGoals(measured: ReadonlyMap<string, Measured>, peer: Measured): Goal[] {
  const p50Of = (name: string) => measured.get(name)?.p50 ?? Number.NaN;
  return [
    { name: 'a prefix of one letter', value: p50Of('a prefix of one letter'), atMost: 200, unit: 'ms' },
    {
      name: "two prefixes, against PostgreSQL's own",
      value: p50Of('two prefixes of one letter') / peer.p50,
      atMost: 1.5,
      unit: '×',
    },
    {
      name: 'a viewer who sees none of the matches, against one who sees all',
      value: p50Of('a word in hidden groups only, for the same viewer') / p50Of('the same, for a viewer who sees them'),
      atMost: 1,
      unit: '×',
    },
  ];
}

function describe(name: string, { p50, p99, buffers }: Measured): (string | number)[] {
  return [name, p50.toFixed(1), p99.toFixed(1), buffers.toLocaleString('en')];
}

/** A common word, the next most common word, and a word that few messages contain. */
async function listWords(sql: pg.Pool): Promise<{ common: string; second: string; rare: string }> {
  const { rows } = await sql.query<{ word: string; count: number }>(
    `select word, ndoc as count from ts_stat('select words from peer') where length(word) >= 3 order by ndoc desc`,
  );
  const at = (index: number) => rows[index]?.word ?? 'none';
  return { common: at(0), second: at(1), rare: rows.find(({ count }) => count <= 20)?.word ?? at(rows.length - 1) };
}

/** Puts a word into every message of the groups that only the viewer is in. */
async function hideWord(sql: pg.Pool): Promise<void> {
  await sql.query(
    `update search_entries e set tokens = ' hiddenword' || tokens from messages m
    where m.id = e.message_id and m.chat_id <= $1`,
    [joinedCount],
  );
  await sql.query('vacuum analyze search_entries');
}

function search(pool: pg.Pool, { text, filter, sort = 'NEWEST', viewer = 1n }: Case): Promise<unknown> {
  const asker = { kind: 'SESSION', userId: viewer, sessionId: 1n } as Parameters<typeof searchMessages>[1];
  const page = { limit: 50, isBackward: false, after: null, before: null };
  const request = readRequest({ text, filter: { ...none, ...filter } });
  return searchMessages(new SearchTurns({ searchPool: pool }), asker, { request, sort, page });
}

async function measure(sql: pg.Pool, work: (pool: pg.Pool) => Promise<unknown>): Promise<Measured> {
  const times: number[] = [];
  for (let run = 0; run < runs + 1; run += 1) {
    const startedAt = performance.now();
    await work(sql);
    // The first run fills the caches, so it does not count.
    if (run > 0) times.push(performance.now() - startedAt);
  }
  return { p50: percentile(times, 50), p99: percentile(times, 99), buffers: await countBuffers(sql, work) };
}

/** Runs the work once more, and runs EXPLAIN for each statement before the statement itself. */
async function countBuffers(sql: pg.Pool, work: (pool: pg.Pool) => Promise<unknown>): Promise<number> {
  let buffers = 0;
  const query = async (statement: string | { text: string; values?: unknown[] }, values?: unknown[]) => {
    const { text, values: bound = values } = typeof statement === 'string' ? { text: statement } : statement;
    const { rows } = await sql.query<{ 'QUERY PLAN': Plan[] }>(
      `explain (analyze, buffers, format json) ${text}`,
      bound,
    );
    const plan = rows[0]?.['QUERY PLAN'][0]?.Plan;
    buffers += (plan?.['Shared Hit Blocks'] ?? 0) + (plan?.['Shared Read Blocks'] ?? 0);
    if (process.argv.includes('--plans')) process.stdout.write(`${JSON.stringify(rows[0], null, 1)}\n`);
    return sql.query(text, bound);
  };
  await work({ query } as unknown as pg.Pool);
  return buffers;
}

type Plan = { Plan: { 'Shared Hit Blocks': number; 'Shared Read Blocks': number } };
