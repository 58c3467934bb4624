import { createHash, randomBytes } from 'node:crypto';
import process from 'node:process';
import type { Report } from './bench.ts';
import { startPostgres, type Database } from './database.ts';
import { contentOf } from './document.ts';
import { cpuMs, familyCpuMs } from './process.ts';
import { print, save } from './result.ts';
import { startParley } from './server.ts';

const isQuick = process.argv.includes('--quick');
const userCount = 100;
const chatCount = 50;
const messageCount = isQuick ? 20_000 : 200_000;

/**
 * Yields the lines of an import: first the users, then each chat with all users as members, followed by its messages.
 */
function* writeLines(): Generator<string> {
  const line = (object: unknown) => `${JSON.stringify(object)}\n`;
  for (let user = 0; user < userCount; user += 1) yield line({ user: { key: `u${user}`, username: `user${user}` } });
  for (let chat = 0; chat < chatCount; chat += 1) {
    const key = `c${chat}`;
    yield line({ chat: { key, type: 'GROUP', name: key, createdAt: '2020-01-01T00:00:00Z' } });
    for (let user = 0; user < userCount; user += 1) yield line({ member: { chat: key, user: `u${user}` } });
    for (let index = 0; index < messageCount / chatCount; index += 1) {
      const at = new Date(Date.UTC(2021, 0, 1, 0, 0, index)).toISOString();
      const replyTo = index % 10 === 9 ? { replyTo: `m${index - 5}` } : {};
      const content = contentOf(index);
      yield line({
        message: { chat: key, key: `m${index}`, sender: `u${index % userCount}`, content, at, ...replyTo },
      });
    }
    yield line({ end: { chat: key } });
  }
}

async function createKey({ sql }: Database): Promise<string> {
  const secret = `parley_${randomBytes(32).toString('base64url')}`;
  await sql.query(`insert into api_keys (name, secret_hash, hint, scopes) values ('bench', $1, $2, '{ADMIN}')`, [
    createHash('sha256').update(secret).digest(),
    secret.slice(0, 'parley_'.length + 4),
  ]);
  return secret;
}

type Figures = { perSecond: number; serverMs: number; databaseMs: number };

const postgres = await startPostgres();
const parley = await startParley(postgres);
try {
  const secret = await createKey(parley.database);
  const body = [...writeLines()].join('');
  const first = await measure('first', secret, body);
  const again = await measure('again', secret, body);
  const reports = [toReport(first, again, body.length)];
  process.stdout.write(`${print(reports)}\n`);
  if (!isQuick) await save(reports, postgres.version, 'import');
} finally {
  await parley.stop();
  await postgres.stop();
}

/** Sends all lines in one request, as curl would. */
async function measure(name: 'first' | 'again', secret: string, body: string): Promise<Figures> {
  const before = { at: performance.now(), server: cpuMs(parley.pid), database: familyCpuMs(postgres.pid) };
  const response = await fetch(`http://localhost:${parley.port}/api/import`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/x-ndjson' },
    body,
  });
  const report = (await response.json()) as { refused: number; messages: { created: number; skipped: number } };
  const seconds = (performance.now() - before.at) / 1_000;
  const done = name === 'first' ? report.messages.created : report.messages.skipped;
  if (report.refused > 0 || done !== messageCount) throw new Error(`not imported: ${JSON.stringify(report)}`);
  return {
    perSecond: messageCount / seconds,
    serverMs: (cpuMs(parley.pid) - before.server) / messageCount,
    databaseMs: (familyCpuMs(postgres.pid) - before.database) / messageCount,
  };
}

function toReport(first: Figures, again: Figures, bytes: number): Report {
  return {
    title: `Import: ${messageCount} messages in ${chatCount} chats of ${userCount} members, ${(bytes / 1e6).toFixed(0)} MB`,
    columns: ['run', 'messages/s', 'server CPU ms each', 'database CPU ms each'],
    rows: [
      { name: 'first', ...first },
      { name: 'the same lines again', ...again },
    ].map(({ name, perSecond, serverMs, databaseMs }) => [
      name,
      perSecond.toFixed(0),
      serverMs.toFixed(3),
      databaseMs.toFixed(3),
    ]),
    notes: ['One request, over HTTP on this machine. Every tenth message is a reply.'],
    goals: [{ name: 'messages per second', value: first.perSecond, atLeast: 5_000, unit: 'messages/s' }],
  };
}
