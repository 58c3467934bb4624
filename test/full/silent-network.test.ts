import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createGroup, say } from '../support/chat.ts';
import { ask, post, signUp, type Person, type TestClient } from '../support/client.ts';
import { createNetwork, type Network } from '../support/network.ts';
import { presenceOf } from '../support/presence.ts';
import { createDataDir, runServer } from '../support/server-process.ts';

/**
 * The streams open at different times. So when the network fails, some of them have just had a heartbeat and others are
 * about to.
 */
const streamCount = 8;
const openEveryMs = 3_000;

/** A client that prints `open <name>` for each stream, and `beat <name> <ms>` for each heartbeat that arrives. */
const clientScript = (url: string, people: Person[]) => `
  import { setTimeout as sleep } from 'node:timers/promises';
  const query = 'subscription { events { event { __typename } } }';
  async function follow({ name, token }) {
    const headers = { 'content-type': 'application/json', accept: 'text/event-stream', authorization: 'Bearer ' + token };
    const body = JSON.stringify({ query });
    const response = await fetch(${JSON.stringify(url)} + '/graphql', { method: 'POST', headers, body });
    let text = '';
    for await (const chunk of response.body) {
      text += Buffer.from(chunk).toString();
      if (text.includes('CaughtUp')) { console.log('open', name); text = ''; }
      else if (text.endsWith(':\\n\\n')) { console.log('beat', name, performance.now()); text = ''; }
    }
  }
  for (const person of ${JSON.stringify(people.map(({ name, token }) => ({ name, token })))}) {
    void follow(person).catch(() => {});
    await sleep(${openEveryMs});
  }
`;

/** A client that prints `open`, the content of each message, and `closed` if its stream ends. */
const messagesScript = (url: string, { token }: Person) => `
  const query = 'subscription { events { event { __typename ... on NewMessage { message { content } } } } }';
  const headers = { 'content-type': 'application/json', accept: 'text/event-stream', authorization: 'Bearer ${token}' };
  const response = await fetch(${JSON.stringify(url)} + '/graphql', { method: 'POST', headers, body: JSON.stringify({ query }) });
  let text = '';
  try {
    for await (const chunk of response.body) {
      const blocks = (text + Buffer.from(chunk).toString()).split('\\n\\n');
      text = blocks.pop();
      for (const block of blocks) {
        if (block.includes('CaughtUp')) console.log('open');
        const [, content] = /"content":"([^"]*)"/.exec(block) ?? [];
        if (content !== undefined) console.log(content);
      }
    }
  } catch {}
  console.log('closed');
`;

/** Starts the server on its machine. Returns it with two addresses: one for this machine and one for the client. */
async function startServerIn({ onServer, serverFor }: Network): Promise<{ server: TestClient; urlForClient: string }> {
  const node = runServer({ DATA_DIR: await createDataDir(), HOST: '0.0.0.0', RATE_LIMITS: 'off' }, [
    ...onServer,
    process.execPath,
    'src/main.ts',
  ]);
  const { port } = new URL(await node.url);
  const url = `http://${serverFor.us}:${port}`;
  const server: TestClient = {
    post: (document, variables, options) => post(url, document, variables, options),
    ask: (document, variables, token) => ask(url, document, variables, token),
  };
  return { server, urlForClient: `http://${serverFor.client}:${port}` };
}

test('users whose network fails are offline within a minute, whatever the phase of their heartbeats', async () => {
  const network = await createNetwork();
  const { server, urlForClient } = await startServerIn(network);
  const [ada, ...people] = await Promise.all(
    ['ada', ...Array.from({ length: streamCount }, (_, index) => `user${index}`)].map((name) => signUp(server, name)),
  );
  if (ada === undefined) throw new Error('ada could not sign up');
  await createGroup(ada, people);
  const lively = await createGroup(ada, people.slice(0, 3));

  const opened = new Set<string>();
  const beats = new Map<string, number[]>();
  network.runClient(clientScript(urlForClient, people), (line) => {
    const [kind, name = '', at] = line.split(' ');
    if (kind === 'open') opened.add(name);
    else beats.set(name, [...(beats.get(name) ?? []), Number(at)]);
  });
  await expect.poll(() => opened.size, { timeout: streamCount * openEveryMs + 10_000 }).toBe(streamCount);
  // Two heartbeats per stream show how long the interval between heartbeats is.
  const beatCounts = () => people.map(({ name }) => beats.get(name)?.length ?? 0);
  await expect.poll(() => Math.min(...beatCounts()), { timeout: 60_000 }).toBeGreaterThan(1);
  for (const [first = 0, second = 0] of beats.values()) {
    // A heartbeat is due after 20 to 24 s, and the server checks once a second.
    expect(second - first).toBeGreaterThan(19_500);
    expect(second - first).toBeLessThan(26_500);
  }
  const statuses = () => Promise.all(people.map(async (person) => (await presenceOf(person, ada)).status));
  expect(new Set(await statuses())).toEqual(new Set(['ONLINE']));

  await network.silenceClient();
  const silentAt = performance.now();
  // This makes the server send something to some of the clients immediately.
  await say(ada, lively, 'are you there?');
  const goneAfter: (number | null)[] = people.map(() => null);
  while (performance.now() - silentAt < 60_000 && goneAfter.includes(null)) {
    const now = await statuses();
    for (const [index, status] of now.entries()) {
      if (status === 'OFFLINE') goneAfter[index] ??= Math.round(performance.now() - silentAt);
    }
    await sleep(500);
  }
  expect(goneAfter).toEqual(people.map(() => expect.any(Number)));
});

test('a client whose network fails for seconds at a time keeps its stream, and receives everything', async () => {
  const network = await createNetwork();
  const { server, urlForClient } = await startServerIn(network);
  const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
  const chatId = await createGroup(ada, [grace]);
  const lines: string[] = [];
  network.runClient(messagesScript(urlForClient, grace), (line) => void lines.push(line));
  await expect.poll(() => lines, { timeout: 10_000 }).toEqual(['open']);

  let sent = 0;
  let sends: Promise<unknown> = Promise.resolve();
  const sending = setInterval(() => {
    sent += 1;
    const content = `message ${sent}`;
    sends = sends.then(() => say(ada, chatId, content));
  }, 200);
  // The server checks for silent peers every 5 s. With one of these two shifts, every check happens while the network
  // is down.
  for (const shift of [0, 2_500]) {
    await sleep(shift);
    for (let cycle = 0; cycle < 6; cycle += 1) {
      await network.silenceClient();
      await sleep(2_450);
      await network.restoreClient();
      await sleep(2_450);
    }
  }
  clearInterval(sending);
  await sends;
  await expect.poll(() => lines.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(1 + sent);
  expect(lines).toEqual(['open', ...Array.from({ length: sent }, (_, index) => `message ${index + 1}`)]);
});
