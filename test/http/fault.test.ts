import { beforeAll, expect, test } from 'vitest';
import { createGroup, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { readFileNode, upload } from '../support/file.ts';
import { startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let ada: Person;
beforeAll(async () => {
  server = await startServer();
  ada = await signUp(server, 'ada');
});

type Route = { path: string; init: RequestInit };

/** Returns requests to entry points of the server that read the database. */
async function routes(): Promise<Record<string, Route>> {
  const { id } = await upload(server, ada, 'words');
  await say(ada, await createGroup(ada, [await signUp(server, 'grace')]), 'look', { fileIds: [id] });
  const { url } = await readFileNode(ada, id);
  const authorization = `Bearer ${ada.token}`;
  const json = { authorization, 'content-type': 'application/json' };
  const body = JSON.stringify({ query: '{ viewer { user { id } } }' });
  const stream = { ...json, accept: 'text/event-stream' };
  const form = new FormData();
  form.append('files', new Blob(['x']), 'x.txt');
  const tus = { authorization, 'tus-resumable': '1.0.0', 'upload-length': '5' };
  return {
    'a query': { path: '/graphql', init: { method: 'POST', headers: json, body } },
    'a query through Yoga': { path: `/graphql?query={viewer{user{id}}}`, init: { headers: { authorization } } },
    'a stream': { path: '/graphql', init: { method: 'POST', headers: stream, body } },
    'a reservation': { path: '/graphql/stream', init: { method: 'PUT', headers: { authorization } } },
    'an upload': { path: '/api/upload', init: { method: 'POST', headers: { authorization }, body: form } },
    tus: { path: '/api/upload/tus', init: { method: 'POST', headers: tus } },
    'a download': { path: new URL(url, server.url).href.slice(server.url.length), init: {} },
  };
}

test('a server fault is logged, and its response reveals no internals, at every entry point', async () => {
  const all = Object.entries(await routes());
  const send = async ({ path, init }: Route) => {
    const response = await fetch(server.url + path, init);
    const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n');
    return { status: response.status, text: `${headers}\n\n${await response.text()}` };
  };
  // Without the fault, each of these requests succeeds.
  for (const [name, route] of all) expect((await send(route)).status, name).toBeLessThan(300);
  const tables = ['sessions', 'users', 'files', 'blobs', 'partial_uploads', 'storage_uses', 'stream_reservations'];
  for (const table of tables) await server.sql.query(`alter table ${table} rename to hidden_${table}`);
  try {
    for (const [name, route] of all) {
      const before = server.log.length;
      const { status, text } = await send(route);
      expect(text, name).not.toMatch(/hidden_|relation|42P01|node_modules|\.ts\b|\bat .+:\d+:\d+|select |insert /i);
      expect(status >= 500 || text.includes('INTERNAL'), name).toBe(true);
      const logged = server.log.slice(before).filter(({ level }) => level === 'error');
      expect(JSON.stringify(logged), name).toMatch(/42P01|does not exist in the current database/);
    }
  } finally {
    for (const table of tables) await server.sql.query(`alter table hidden_${table} rename to ${table}`);
  }
});
