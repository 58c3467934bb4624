import process from 'node:process';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { connectDatabase, disconnectDatabase, type Db } from '../src/postgres/client.ts';
import type { ChatReader } from '../src/chat/visibility.ts';
import { listMessages } from '../src/message/history.ts';
import { readPage, lists, encodeCursor, type ConnectionArgs, type PageRequest } from '../src/postgres/page.ts';
import { encodeId } from '../src/core/id.ts';
import type { Goal, Report } from './bench.ts';
import { addGroup, addPeople, startPostgres, type Database, type Person } from './database.ts';
import { print, save } from './result.ts';
import { signToken, startParley } from './server.ts';
import { percentile, ratios, summarise } from './statistic.ts';

/** A page of a chat to measure: `name` is its row in the report, and `length` the number of messages in the chat. */
type Subject = { name: string; chatId: string; length: number; args: ConnectionArgs };
type Figures = { rows: number; buffers: number; sql: number[]; graphql: number[]; plan: string };

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, rounds: { type: 'string' } } });
/** The number of messages in the large chat. */
const many = values.quick ? 200_000 : 5_000_000;
const rounds = Number(values.rounds ?? (values.quick ? 50 : 400));
/** The time limit for one step of loading the data. */
const loadTimeoutMs = 15 * 60_000;

const startedAt = performance.now();
const say = (line: string) =>
  void process.stderr.write(`${((performance.now() - startedAt) / 1_000).toFixed(0)} s  ${line}\n`);

const postgres = await startPostgres();
try {
  const server = await startParley(postgres);
  const report = await measure(server);
  await server.stop();
  process.stdout.write(print([report]));
  if (!values.quick) await save([report], postgres.version, 'history');
} finally {
  await postgres.stop();
}

async function measure(server: { port: number; database: Database }): Promise<Report> {
  const [reader, writer] = await addPeople(server.database, 2);
  if (reader === undefined || writer === undefined) throw new Error('two people were added');
  const subjects = await loadChats(server.database, [reader, writer]);
  const db = connectDatabase({
    url: server.database.url,
    maxConnections: 1,
    statementTimeoutMs: 10_000,
    onError: (error) => say(error.message),
  });
  const figures = new Map<Subject, Figures>();
  for (const subject of subjects) figures.set(subject, await explain(db, subject, reader));
  const ask = await createClient(server.port, reader);
  // Measures the pages in turn, so that other load on the machine affects all of them.
  for (let round = 0; round < rounds; round += 1) {
    const turn = round % 2 === 0 ? subjects : subjects.toReversed();
    for (const subject of turn) await measureOnce(db, subject, { reader, ask, figures: figures.get(subject) });
  }
  await disconnectDatabase(db);
  return describe(figures);
}

/** Fills three chats in one table. Returns the pages to compare. */
async function loadChats(database: Database, people: readonly [Person, Person]): Promise<Subject[]> {
  const lengths = [5, 50, many];
  const chats: { chatId: string; length: number }[] = [];
  for (const length of lengths) {
    const chatId = await addGroup(database, people);
    await fill(database, { chatId, senderIds: people.map(({ userId }) => userId), length });
    say(`a chat of ${length.toLocaleString('en')} messages`);
    chats.push({ chatId, length });
  }
  // Adds enough rows that the planner has no reason to read them all.
  await database.sql.query(
    `with others as (insert into chats (type, name) select 'GROUP', 'Other' from generate_series(1, 5000) returning id)
    insert into members (chat_id, user_id) select id, unnest($1::bigint[]) from others`,
    [people.map(({ userId }) => userId)],
  );
  await database.sql.query('vacuum analyze messages, chats, members');
  say('vacuumed and analysed');
  const [five, fifty, large] = chats;
  if (five === undefined || fifty === undefined || large === undefined) throw new Error('three chats were made');
  const at = (seq: number) => encodeCursor(lists.messages, [seq]);
  return [
    { name: 'newest 5', ...five, args: { last: 5 } },
    { name: 'newest 5', ...large, args: { last: 5 } },
    { name: 'newest 50', ...fifty, args: { last: 50 } },
    { name: 'newest 50', ...large, args: { last: 50 } },
    { name: '50 before the middle', ...large, args: { last: 50, before: at(many / 2) } },
    { name: '50 after the middle', ...large, args: { first: 50, after: at(many / 2) } },
    { name: 'oldest 50', ...large, args: { first: 50 } },
  ];
}

/**
 * Inserts messages without firing the triggers, which would also write an event for each message. The measured
 * statements read only messages.
 */
async function fill(
  { sql }: Database,
  { chatId, senderIds, length }: { chatId: string; senderIds: string[]; length: number },
): Promise<void> {
  const client = await sql.connect();
  try {
    await client.query(`set statement_timeout = ${loadTimeoutMs}; alter table messages disable trigger all`);
    await client.query(
      `insert into messages (chat_id, seq, sender_id, content, created_at)
      select $1, n, ($2::bigint[])[1 + n % 2], 'message ' || n || ' ' || repeat('la ', n % 40),
        now() - ($3::int - n) * interval '1 second'
      from generate_series(1, $3::int) n`,
      [chatId, senderIds, length],
    );
    await client.query('alter table messages enable trigger all');
    await client.query('update chats set last_seq = $2 where id = $1', [chatId, length]);
  } finally {
    client.release();
  }
}

function requestFor({ args }: Subject): PageRequest {
  return readPage(args, lists.messages);
}

/** Measures the plan that a connection caches for the server's own statement after a few executions. */
async function explain({ pool }: Db, subject: Subject, reader: Person): Promise<Figures> {
  const { text, values: parameters } = await statementOf(subject, reader);
  const client = await pool.connect();
  try {
    const name = 'page';
    await client.query(`set plan_cache_mode = force_generic_plan; set jit = off; deallocate all`);
    await client.query(`prepare ${name} (bigint[], bigint[], bigint, bigint, int) as ${text}`);
    const execute = `execute ${name} (${parameters.map(literal).join(', ')})`;
    const run = async (format: string) =>
      (await client.query<{ 'QUERY PLAN': never }>(`explain (analyze, buffers, costs off, ${format}) ${execute}`)).rows;
    // The first run fills the cache, because the comparison is about how many pages are read, not about whether they
    // were in memory.
    await run('format json');
    const [explained] = (await run('format json')).flatMap(
      (row): { Plan: Record<string, number> }[] => row['QUERY PLAN'],
    );
    const top = explained?.Plan ?? {};
    const plan = (await run('format text, timing off')).map((line) => line['QUERY PLAN'] as string).join('\n');
    await client.query('reset all; deallocate all');
    const buffers = (top['Shared Hit Blocks'] ?? 0) + (top['Shared Read Blocks'] ?? 0);
    return { rows: top['Actual Rows'] ?? 0, buffers, sql: [], graphql: [], plan };
  } finally {
    client.release();
  }
}

/** Captures the statement that `listMessages` sends. */
async function statementOf(subject: Subject, reader: Person): Promise<{ text: string; values: unknown[] }> {
  const caught: { text: string; values: unknown[] }[] = [];
  const query = async (statement: { text: string; values: unknown[] }) => {
    caught.push(statement);
    return { rows: [] };
  };
  await listMessages({ pool: { query } } as unknown as Db, [readerOf(subject, reader)], requestFor(subject), () => {});
  const [statement] = caught;
  if (statement === undefined) throw new Error('listMessages sent no statement');
  return statement;
}

function readerOf({ chatId }: Subject, { userId }: Person): ChatReader {
  const asker = { kind: 'SESSION', userId: BigInt(userId), sessionId: 0n, expiresAt: new Date() } as const;
  return { chatId: BigInt(chatId), asker };
}

/** Formats numbers and lists of numbers as SQL. */
function literal(value: unknown): string {
  return pg.escapeLiteral(Array.isArray(value) ? `{${value.join(',')}}` : String(value));
}

type Ask = (subject: Subject) => Promise<number>;

async function measureOnce(
  db: Db,
  subject: Subject,
  { reader, ask, figures }: { reader: Person; ask: Ask; figures: Figures | undefined },
): Promise<void> {
  const before = performance.now();
  const [page] = await listMessages(db, [readerOf(subject, reader)], requestFor(subject), () => {});
  figures?.sql.push(performance.now() - before);
  const asked = performance.now();
  const count = await ask(subject);
  figures?.graphql.push(performance.now() - asked);
  if (page?.rows.length !== count) throw new Error(`expected ${count} messages, got ${page?.rows.length}`);
}

/**
 * Creates a function that requests a page through the whole server, as a client does, and returns the number of
 * messages.
 */
async function createClient(port: number, reader: Person): Promise<Ask> {
  const token = await signToken(reader);
  const query = `query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {
    chat(id: $id) {
      messages(first: $first, after: $after, last: $last, before: $before) {
        edges { cursor node { id seq content createdAt sender { username } reactions { emoji count } } }
        pageInfo { hasPreviousPage hasNextPage }
      }
    }
  }`;
  return async ({ chatId, args }) => {
    const response = await fetch(`http://127.0.0.1:${port}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query, variables: { id: encodeId('Chat', BigInt(chatId)), ...args } }),
    });
    const { data } = (await response.json()) as { data: { chat: { messages: { edges: unknown[] } } } };
    return data.chat.messages.edges.length;
  };
}

function describe(figures: ReadonlyMap<Subject, Figures>): Report {
  const entries = [...figures];
  const rows = entries.map(([{ name, length }, { rows: count, buffers, sql, graphql }]) => [
    name,
    length.toLocaleString('en'),
    count,
    buffers,
    ...[sql, graphql].flatMap((times) => [percentile(times, 50).toFixed(2), percentile(times, 99).toFixed(2)]),
  ]);
  const find = (name: string, length: number) => {
    const found = entries.find(([subject]) => subject.name === name && subject.length === length);
    if (found === undefined) throw new Error(`${name} of ${length} was not measured`);
    return found[1];
  };
  const goals = [5, 50].flatMap((size): Goal[] => {
    const [small, large] = [find(`newest ${size}`, size), find(`newest ${size}`, many)];
    // Compares figures round by round, because figures from the same round saw the same load on the machine.
    const ratio = (of: (each: Figures) => number[]) => summarise(ratios(of(large), of(small))).median;
    const what = `newest ${size} of ${many.toLocaleString('en')}, against a chat of ${size}`;
    return [
      { name: `${what}: buffers`, value: large.buffers / small.buffers, atMost: 1.25, unit: '×' },
      { name: `${what}: time of the statement`, value: ratio(({ sql }) => sql), atMost: 1.25, unit: '×' },
      { name: `${what}: time of the query`, value: ratio(({ graphql }) => graphql), atMost: 1.25, unit: '×' },
    ];
  });
  const { plan } = find('newest 50', many);
  return {
    title: 'A page of a chat, by the length of the chat',
    columns: [
      'page',
      'messages in the chat',
      'rows',
      'buffers',
      'SQL p50, ms',
      'SQL p99',
      'GraphQL p50, ms',
      'GraphQL p99',
    ],
    rows,
    notes: [
      `One reader, ${rounds} rounds of all pages in turn. All chats are in one table, with 5,000 others. Buffers are the pages of 8 KB`,
      'that the statement touched. It reads one row more than it shows, to know whether there are more. GraphQL is a whole HTTP request,',
      `with senders and reactions. The generic plan for the newest 50 of ${many.toLocaleString('en')}:`,
      `\n\`\`\`\n${plan}\n\`\`\``,
    ],
    goals,
  };
}
