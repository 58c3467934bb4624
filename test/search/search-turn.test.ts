import { beforeAll, expect, test } from 'vitest';
import pg from 'pg';
import { createGroup, createPublicChannel, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { awaitIndex } from '../support/search.ts';
import { startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let chatId: string;
beforeAll(async () => {
  server = await startServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  chatId = await createGroup(ada, [grace]);
  await say(ada, chatId, 'hello world');
  await createPublicChannel(ada, 'hello channel');
  await awaitIndex(server);
});

const searches = [
  { field: 'searchMessages', argument: 'query', table: 'search_entries', part: 'from search_entries' },
  { field: 'publicChannels', argument: 'search', table: 'search_channels', part: 'from search_channels' },
];

function operation(field: string, argument: string, count: number): string {
  const aliases = Array.from({ length: count }, (_, index) => {
    return `a${index}: ${field}(${argument}: "hello", first: 1) { pageInfo { hasNextPage } }`;
  });
  return `{ ${aliases.join(' ')} }`;
}

/** Locks a table, so that statements that read it wait until it is unlocked. */
async function lock(table: string): Promise<{ unlock: () => Promise<void> } & AsyncDisposable> {
  const client = new pg.Client(server.database.url);
  await client.connect();
  await client.query(`begin; lock table ${table} in access exclusive mode`);
  let ending: Promise<void> | undefined;
  const unlock = () => (ending ??= client.end());
  return { unlock, [Symbol.asyncDispose]: unlock };
}

/** Returns how many statements that contain that text are waiting for a lock. */
async function countWaiting(part: string): Promise<number> {
  const { rowCount } = await server.sql.query(
    `select from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and position($1 in query) > 0
      and pid <> pg_backend_pid()`,
    [part],
  );
  return rowCount ?? 0;
}

test.each(searches)(
  'slow searches of $field end after a second, take turns, and do not delay other requests',
  async ({ field, argument, table, part }) => {
    await using held = await lock(table);
    let endedCount = 0;
    const many = Array.from({ length: 12 }, () =>
      ada.post(operation(field, argument, 1)).finally(() => (endedCount += 1)),
    );
    await expect.poll(() => countWaiting(part)).toBe(1);
    const one = grace.post(operation(field, argument, 1));
    // Although Ada sends twelve searches, only one search per user runs at a time.
    await expect.poll(() => countWaiting(part)).toBe(2);
    expect(await grace.ask('{ viewer { user { username } } }')).toMatchObject({ viewer: { user: {} } });
    const { errors } = await one;
    expect(errors).toMatchObject([
      {
        message: `${argument}: takes longer than the limit of 1 s: search for fewer or rarer words`,
        extensions: { code: 'BAD_REQUEST' },
      },
    ]);
    expect(endedCount).toBeLessThan(12);
    await held.unlock();
    const answers = await Promise.all(many);
    expect(answers.at(0)?.errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
    expect(answers.some((answer) => answer.errors === undefined)).toBe(true);
  },
);

test.each(searches)('an operation may contain 14 searches of $field, but not dozens', async ({ field, argument }) => {
  expect((await ada.post(operation(field, argument, 14))).errors).toBeUndefined();
  expect((await ada.post(operation(field, argument, 15))).errors).toMatchObject([
    {
      message: expect.stringMatching(/complexity, \d+, is over the limit of 30000/),
      extensions: { code: 'BAD_REQUEST' },
    },
  ]);
});

test.each([' ', '.', ',', '-', '/', ' "', ' -', ' 😀', '—'])(
  'a search has at most 32 words, even with %j between them',
  async (between) => {
    const search = (count: number) =>
      ada.post('query ($query: String!) { searchMessages(query: $query) { pageInfo { hasNextPage } } }', {
        query: Array.from({ length: count }, () => 'la').join(between),
      });
    expect((await search(16)).errors).toBeUndefined();
    expect((await search(33)).errors).toMatchObject([
      { message: expect.stringMatching(/^query: must have at most 32 words, and has \d+$/) },
    ]);
  },
);

test('a search of 32 words is accepted', async () => {
  const query = Array.from({ length: 32 }, (_, index) => `word${index}`).join(' ');
  expect(await ada.ask(`{ searchMessages(query: "${query}") { edges { cursor } } }`)).toMatchObject({
    searchMessages: { edges: [] },
  });
});
