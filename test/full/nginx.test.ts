import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { beforeAll, expect, test } from 'vitest';
import { createGroup, say } from '../support/chat.ts';
import { ask, post, signUp, type Person, type TestClient } from '../support/client.ts';
import { atFileEnd } from '../support/file-end.ts';
import { hasNginx, startNginx, type Nginx } from '../support/nginx.ts';
import { startServer, type TestServer } from '../support/server.ts';

const streamCount = 1_000;
/** nginx allows 128 streams on an HTTP/2 connection. */
const streamsPerSession = 100;
const largeBytes = 200 * 1024 * 1024;

let nginx: Nginx;
let nodes: TestServer[];
let ada: Person;
let grace: Person;
let chat: string;
beforeAll(async () => {
  if (!hasNginx) return;
  const env = {
    TRUST_PROXY: '1',
    METRICS_PORT: '0',
    MAX_UPLOAD_BYTES: String(largeBytes),
    MAX_STREAMS_PER_SESSION: '2000',
    MAX_STREAMS_PER_ADDRESS: '0',
  };
  const first = await startServer({ env });
  nodes = [first, await startServer({ env, database: first.database })];
  nginx = await startNginx(nodes);
  const { url } = nginx;
  const client: TestClient = {
    post: (document, variables, request) => post(url, document, variables, request),
    ask: (document, variables, token) => ask(url, document, variables, token),
  };
  [ada, grace] = await Promise.all([signUp(client, 'ada'), signUp(client, 'grace')]);
  chat = await createGroup(ada, [grace]);
});

test.runIf(hasNginx)('nginx accepts the configuration without a warning', () => {
  expect(nginx.check).toMatch(/syntax is ok/);
  expect(nginx.check).not.toMatch(/\[(warn|emerg)\]/);
});

test.runIf(hasNginx)('plain HTTP redirects to TLS, which announces itself', async () => {
  const redirect = await fetch(`${nginx.plainUrl}/graphql?a=b`, { redirect: 'manual' });
  expect(redirect.status).toBe(308);
  expect(redirect.headers.get('location')).toBe(`${nginx.url}/graphql?a=b`);
  const page = await fetch(`${nginx.url}/graphql`, { headers: { accept: 'text/html' } });
  expect(page.headers.get('strict-transport-security')).toBe('max-age=31536000');
});

test.runIf(hasNginx)('both nodes serve requests, and query strings stay out of the log', async () => {
  for (let index = 0; index < 8; index += 1) await fetch(`${nginx.url}/livez?streamToken=secret`);
  await expect.poll(() => nginx.readLog()).toMatch(/GET \/livez HTTP\/1.1/);
  const log = await nginx.readLog();
  expect(log).not.toContain('secret');
  for (const node of nodes) expect(log).toContain(new URL(node.url).host);
});

test.runIf(hasNginx)('an upload of 200 MB passes, by form and through GraphQL, and is downloaded whole', async () => {
  const content = randomBytes(largeBytes);
  const authorization = `Bearer ${ada.token}`;
  const form = new FormData();
  form.append('files', new Blob([content]), 'large.bin');
  const uploaded = await fetch(`${nginx.url}/api/upload`, { method: 'POST', body: form, headers: { authorization } });
  expect(uploaded.status).toBe(201);
  const { files } = (await uploaded.json()) as { files: { url: string }[] };
  const download = await fetch(new URL(files[0]?.url ?? '', nginx.url));
  expect(content.equals(Buffer.from(await download.arrayBuffer()))).toBe(true);
  const graphql = new FormData();
  const query = 'mutation ($file: Upload!) { uploadFile(file: $file) { __typename } }';
  graphql.append('operations', JSON.stringify({ query, variables: { file: null } }));
  graphql.append('map', JSON.stringify({ 0: ['variables.file'] }));
  graphql.append('0', new Blob([content]), 'large.bin');
  const headers = { authorization, 'graphql-require-preflight': '1' };
  const answer = await fetch(`${nginx.url}/graphql`, { method: 'POST', body: graphql, headers });
  expect(await answer.json()).toMatchObject({ data: { uploadFile: { __typename: 'File' } } });
});

test.runIf(hasNginx)('1,000 streams over HTTP/2 receive a message, on both nodes', async () => {
  const sessions = await Promise.all(
    Array.from({ length: streamCount / streamsPerSession }, () => openSession(nginx.url)),
  );
  const streams = sessions.flatMap((session) =>
    Array.from({ length: streamsPerSession }, () => follow(session, grace.token)),
  );
  await Promise.all(streams.map(({ receive }) => receive('CaughtUp')));
  await say(ada, chat, 'Hello through nginx');
  await Promise.all(streams.map(({ receive }) => receive('Hello through nginx')));
  const counts = await Promise.all(nodes.map(countStreams));
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(streamCount);
  // This shows that nginx balances by the number of connections, and that the result is not a coincidence.
  expect(Math.min(...counts)).toBeGreaterThan(streamCount / 3);
});

async function openSession(url: string): Promise<ClientHttp2Session> {
  const session = connect(url);
  atFileEnd(() => session.destroy());
  await once(session, 'connect');
  expect(session.alpnProtocol).toBe('h2');
  return session;
}

/** Opens a stream of all events. `receive` resolves when the given text has arrived. */
function follow(session: ClientHttp2Session, token: string): { receive: (text: string) => Promise<void> } {
  const query = `subscription { events { event { __typename ... on NewMessage { message { content } } } } }`;
  const stream: ClientHttp2Stream = session.request({
    ':method': 'POST',
    ':path': '/graphql',
    'content-type': 'application/json',
    accept: 'text/event-stream',
    authorization: `Bearer ${token}`,
  });
  stream.end(JSON.stringify({ query }));
  let received = '';
  stream.setEncoding('utf8').on('data', (text: string) => (received += text));
  return {
    receive: async (text) => {
      while (!received.includes(text)) {
        const [, ended] = await Promise.race([once(stream, 'data'), once(stream, 'close').then(() => [null, true])]);
        if (ended === true) throw new Error(`The stream ended: ${received}`);
      }
    },
  };
}

/** Returns how many streams a node has open, according to its metrics. */
async function countStreams({ metricsUrl }: TestServer): Promise<number> {
  const text = await (await fetch(metricsUrl ?? '')).text();
  return Number(/^parley_streams (\d+)$/m.exec(text)?.[1]);
}
