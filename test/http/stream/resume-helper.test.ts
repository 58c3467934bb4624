import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type Client, type RequestParams, type Sink } from 'graphql-sse';
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { createGroup, keyOf } from '../../support/chat.ts';
import { signUp, type Data, type Person } from '../../support/client.ts';
import { openProxy } from '../../support/proxy.ts';
import { rounds } from '../../support/rounds.ts';
import type { TestServer } from '../../support/server.ts';
import { sharedServer } from '../../support/shared-server.ts';
import { writeWithSql } from '../../support/writer.ts';

type Subscribe = (client: Client<boolean>, request: RequestParams, sink: Sink<Data>) => () => void;

let server: TestServer;
let ada: Person;
let grace: Person;
let subscribeWithResume: Subscribe;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  subscribeWithResume = await loadFromDocs();
});

/** Loads the helper from the documentation for clients. */
async function loadFromDocs(): Promise<Subscribe> {
  const clients = await readFile(join(import.meta.dirname, '../../../docs/clients.md'), 'utf8');
  const [, code] = /^### Resume with graphql-sse$.*?^```ts\n(.*?)^```$/ms.exec(clients) ?? [];
  if (code === undefined) throw new Error('docs/clients.md has no such example');
  const folder = await mkdtemp(join(tmpdir(), 'parley-docs-'));
  try {
    await writeFile(join(folder, 'resume.mts'), code);
    return (await import(join(folder, 'resume.mts'))).subscribeWithResume;
  } finally {
    await rm(folder, { recursive: true });
  }
}

const documents = {
  events: `subscription ($after: String) {
    events(after: $after) { cursor event { __typename ... on NewMessage { message { seq content } } ... on Reset { reason } } }
  }`,
  chatEvents: `subscription ($chatId: ID!, $after: String) {
    chatEvents(chatId: $chatId, after: $after) { cursor event { __typename ... on NewMessage { message { seq content } } } }
  }`,
};

const ways = [
  { singleConnection: false, field: 'events' as const },
  { singleConnection: false, field: 'chatEvents' as const },
  { singleConnection: true, field: 'events' as const },
];

test.for(rounds(ways.slice(1), ways))(
  'with $field and singleConnection $singleConnection every event arrives exactly once and in order',
  async ({ singleConnection, field }) => {
    const chatId = await createGroup(ada, [grace]);
    const proxy = await openProxy(server.url);
    const client = createClient<boolean>({
      url: `${proxy.through(server.url)}/graphql/stream`,
      headers: () => ({ authorization: `Bearer ${ada.token}` }),
      singleConnection,
      retryAttempts: Infinity,
      retry: () => new Promise((resolve) => setTimeout(resolve, Math.random() * 10)),
    });
    onTestFinished(() => client.dispose());
    const heard: { seq: number; content: string }[] = [];
    const kinds: string[] = [];
    const ends: unknown[] = [];
    const variables = field === 'chatEvents' ? { chatId } : {};
    subscribeWithResume(
      client,
      { query: documents[field], variables },
      {
        next: ({ data }) => {
          const { event } = data[field];
          kinds.push(event.__typename);
          if (event.__typename === 'NewMessage') heard.push(event.message);
        },
        error: (error) => void ends.push(error),
        complete: () => void ends.push('complete'),
      },
    );
    await vi.waitFor(() => expect(kinds).toEqual(['CaughtUp']));

    const writer = writeWithSql(server.database.url, [chatId], grace);
    // Cuts the connection before the client has reconnected, while the client catches up, and when it has been live for
    // a while.
    for (let cuts = 0; cuts < rounds(24, 40); cuts += 1) {
      const count = heard.length + Math.floor(Math.random() * 12);
      await vi.waitFor(() => expect(heard.length).toBeGreaterThanOrEqual(count), { timeout: 10_000, interval: 2 });
      proxy.cut();
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 30));
    }
    await writer.stop();
    const { rows } = await server.sql.query('select seq, content from messages where chat_id = $1 order by seq', [
      keyOf(chatId),
    ]);
    await vi.waitFor(() => expect(heard.at(-1)?.seq).toBe(rows.length), 10_000);
    expect(heard).toEqual(rows);
    expect(rows.length).toBeGreaterThan(100);
    expect(kinds.filter((kind) => kind === 'CaughtUp').length).toBeGreaterThan(5);
    expect(kinds).not.toContain('Reset');
    expect(ends).toEqual([]);
  },
);
