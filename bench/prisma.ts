import process from 'node:process';
import { pino } from 'pino';
import { connectDatabase, disconnectDatabase, type Db } from '../src/postgres/client.ts';
import { columns } from '../src/postgres/columns.ts';
import { applyMigrations } from '../src/postgres/migration.ts';
import type { Report } from './bench.ts';
import { addGroup, addPeople, post, startPostgres } from './database.ts';
import { familyCpuMs } from './process.ts';
import { print, save } from './result.ts';
import { summarise } from './statistic.ts';

/**
 * Compares reading the same rows with Prisma Client and with the SQL statement that a loader or a page uses instead.
 */
type Subject = { name: string; prisma: () => Promise<unknown>; sql: () => Promise<unknown> };
type Way = 'prisma' | 'sql';

const rounds = 11;
const readsPerRound = 500;

const postgres = await startPostgres();
const database = await postgres.createDatabase();
await applyMigrations(database.url, 'prisma/migrations', pino({ level: 'silent' }));
const people = await addPeople(database, 1_000);
const [sender] = people;
if (sender === undefined) throw new Error('there are no people');
const chatId = await addGroup(database, people.slice(0, 50));
await post(database, { chatId, senderId: sender.userId }, 1_000);
await database.sql.query('analyze');
const db = connectDatabase({
  url: database.url,
  maxConnections: 1,
  statementTimeoutMs: 10_000,
  onError: (error) => process.stderr.write(`${error.message}\n`),
});
try {
  const reports = [await measure(listSubjects(db))];
  process.stdout.write(print(reports));
  await save(reports, postgres.version, 'prisma');
} finally {
  await disconnectDatabase(db);
  await postgres.stop();
}

function listSubjects({ prisma, pool }: Db): Subject[] {
  const ids = people.slice(0, 50).map(({ userId }) => BigInt(userId));
  const id = ids[0] ?? 0n;
  const chat = BigInt(chatId);
  return [
    {
      name: 'one user by id (a rule)',
      prisma: () => prisma.user.findUnique({ where: { id } }),
      sql: () =>
        pool.query({ name: 'one', text: `select ${columns.user('u')} from users u where u.id = $1`, values: [id] }),
    },
    {
      name: '50 users by id (a loader)',
      prisma: () => prisma.user.findMany({ where: { id: { in: ids } } }),
      sql: () =>
        pool.query({
          name: 'fifty',
          text: `select ${columns.user('u')} from users u where u.id = any ($1)`,
          values: [ids],
        }),
    },
    {
      name: '50 messages with their senders (a page)',
      prisma: () =>
        prisma.message.findMany({
          where: { chatId: chat, seq: { lt: 1_000 } },
          orderBy: { seq: 'desc' },
          take: 50,
          include: { sender: true },
        }),
      sql: async () => {
        await pool.query({
          name: 'page',
          text: `select ${columns.message('m')} from messages m where m.chat_id = $1 and m.seq < $2 order by m.seq desc limit 50`,
          values: [chat, 1_000],
        });
        await pool.query({
          name: 'senders',
          text: `select ${columns.user('u')} from users u where u.id = any ($1)`,
          values: [[BigInt(sender?.userId ?? 0)]],
        });
      },
    },
  ];
}

/**
 * Measures the CPU time of this process and of PostgreSQL, in µs. The two methods take turns, so that other load on the
 * machine affects both.
 */
async function measure(subjects: readonly Subject[]): Promise<Report> {
  const rows: string[][] = [];
  for (const subject of subjects) {
    const cost: Record<Way, { client: number[]; database: number[] }> = {
      prisma: { client: [], database: [] },
      sql: { client: [], database: [] },
    };
    for (let round = 0; round <= rounds; round += 1) {
      for (const way of round % 2 === 0 ? (['prisma', 'sql'] as const) : (['sql', 'prisma'] as const)) {
        const read = await readOften(subject[way]);
        // The first round is a warm-up.
        if (round === 0) continue;
        cost[way].client.push(read.client);
        cost[way].database.push(read.database);
      }
    }
    const of = (way: Way, side: 'client' | 'database') => summarise(cost[way][side]).median;
    const times = of('prisma', 'client') / of('sql', 'client');
    const timesDatabase = of('prisma', 'database') / of('sql', 'database');
    rows.push([
      subject.name,
      of('prisma', 'client').toFixed(0),
      of('sql', 'client').toFixed(0),
      `${times.toFixed(1)} ×`,
      of('prisma', 'database').toFixed(0),
      of('sql', 'database').toFixed(0),
      `${timesDatabase.toFixed(1)} ×`,
    ]);
  }
  return {
    title: 'The same rows by Prisma Client and by SQL, µs of CPU per read',
    columns: ['read', 'server, Prisma', 'server, SQL', 'ratio', 'PostgreSQL, Prisma', 'PostgreSQL, SQL', 'ratio'],
    rows,
    notes: [`The median of ${rounds} rounds of ${readsPerRound} reads, one at a time, the two ways in turn.`],
    goals: [],
  };
}

async function readOften(read: () => Promise<unknown>): Promise<{ client: number; database: number }> {
  const before = { client: process.cpuUsage(), database: familyCpuMs(postgres.pid) };
  for (let count = 0; count < readsPerRound; count += 1) await read();
  const { user, system } = process.cpuUsage(before.client);
  return {
    client: (user + system) / readsPerRound,
    database: ((familyCpuMs(postgres.pid) - before.database) * 1_000) / readsPerRound,
  };
}
