import { once } from 'node:events';
import { request, type ClientRequest } from 'node:http';
import { beforeAll, expect, test } from 'vitest';
import { maxArriving } from '../../src/file/arrival.ts';
import { signUp, type Person } from '../support/client.ts';
import { countStored, formOf, postFiles, postGraphqlForm } from '../support/file.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { begin, begun, offsetOf, patch } from '../support/tus.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await startServer({ env: { USER_QUOTA_BYTES: '5000000', TRUST_PROXY: '1' } });
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

/** An upload that is started and then stalls. It ends with `stop`, or when the server refuses it. */
class Unfinished {
  readonly answer: Promise<{ status: number; text: string }>;
  readonly #outgoing: ClientRequest;

  constructor(
    by: Person,
    {
      sent,
      declared,
      path = '/api/upload',
      headers = {},
    }: { sent: number; declared: number; path?: string; headers?: Record<string, string> },
  ) {
    const method = path.startsWith('/api/upload/tus/') ? 'PATCH' : 'POST';
    this.#outgoing = request(`${server.url}${path}`, {
      method,
      agent: false,
      headers: {
        authorization: `Bearer ${by.token}`,
        'content-type': 'multipart/form-data; boundary=b',
        'content-length': declared,
        ...headers,
      },
    });
    this.#outgoing.on('error', () => {});
    this.answer = once(this.#outgoing, 'response').then(async ([response]) => ({
      status: response.statusCode,
      text: Buffer.concat(await response.toArray()).toString(),
    }));
    // An upload that is stopped receives no answer.
    this.answer.catch(() => undefined);
    this.#outgoing.write(formOf(Buffer.alloc(sent)).subarray(0, -9));
  }

  async stop(): Promise<void> {
    this.#outgoing.destroy();
    if (!this.#outgoing.closed) await new Promise((resolve) => this.#outgoing.once('close', resolve));
  }
}

/**
 * Resolves as soon as the server refuses any of the uploads, because it has reached its limit of uploads in progress.
 */
const refusalAmong = (all: Unfinished[]) => Promise.any(all.map(({ answer }) => answer));

const stopAll = (all: Unfinished[]) => Promise.all(all.map((each) => each.stop()));

/** Waits until the server has noticed that the stopped uploads have ended, and has room again. */
async function expectRoom(by: Person, bytes: number): Promise<void> {
  await expect
    .poll(async () => (await postFiles(server, by, [{ name: 'x', content: new Uint8Array(bytes) }])).status, {
      timeout: 20_000,
    })
    .toBe(201);
}

test('the number of a user’s uploads in progress is limited, across all routes; other users have their own limit', async () => {
  const url = await begun(server, ada, 1_000);
  const held = Array.from(
    { length: maxArriving.perPerson + 1 },
    () => new Unfinished(ada, { sent: 100, declared: 10_000 }),
  );
  const refused = { status: 429 };
  expect(await refusalAmong(held)).toMatchObject(refused);
  expect(await postFiles(server, ada, [{ name: 'x', content: 'x' }])).toMatchObject(refused);
  expect(await begin(server, ada, 10)).toMatchObject(refused);
  expect(await postGraphqlForm(server, ada)).toMatchObject(refused);
  expect(await patch(url, ada, 0, 'hello')).toMatchObject(refused);
  expect(await postFiles(server, grace, [{ name: 'x', content: 'x' }])).toMatchObject({ status: 201 });
  await stopAll(held);
  await expectRoom(ada, 1);
  expect(await offsetOf(url, ada)).toBe(0);
}, 60_000);

test('the number of uploads in progress from an address is limited, however many users send them', async () => {
  const people = await Promise.all(Array.from({ length: 7 }, (_, index) => signUp(server, `office${index}`)));
  const from = (address: string) => ({ 'x-forwarded-for': address });
  const held = Array.from(
    { length: maxArriving.perAddress + 1 },
    (_, index) =>
      new Unfinished(people[index % people.length] ?? ada, { sent: 1, declared: 10_000, headers: from('192.0.2.1') }),
  );
  const send = (address: string) =>
    fetch(`${server.url}/api/upload`, {
      method: 'POST',
      body: formOf(Buffer.from('x')),
      headers: {
        authorization: `Bearer ${grace.token}`,
        'content-type': 'multipart/form-data; boundary=b',
        ...from(address),
      },
    });
  expect(await refusalAmong(held)).toMatchObject({ status: 429 });
  expect((await send('192.0.2.1')).status).toBe(429);
  expect((await send('192.0.2.2')).status).toBe(201);
  await stopAll(held);
  await expect.poll(async () => (await send('192.0.2.1')).status, { timeout: 20_000 }).toBe(201);
}, 60_000);

test('the size that a request declares is reserved when it begins, and released when it is aborted', async () => {
  const first = new Unfinished(grace, { sent: 1_000, declared: 3_000_000 });
  await expect
    .poll(
      async () => {
        const second = new Unfinished(grace, { sent: 1_000, declared: 3_000_000 });
        const answer = await Promise.race([second.answer, new Promise((resolve) => setTimeout(resolve, 4_000, null))]);
        await second.stop();
        return answer;
      },
      { timeout: 20_000 },
    )
    .toMatchObject({ status: 413, text: expect.stringContaining('5000000 bytes') });
  await first.stop();
  await expectRoom(grace, 4_000_000);
}, 60_000);

test('uploads without a declared size cannot together exceed the quota', async () => {
  const linus = await signUp(server, 'linus');
  const all = Array.from({ length: 8 }, () => openChunked(linus));
  const outcomes = await Promise.all(
    all.map(({ answer }) => Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 3_000, null))])),
  );
  expect(outcomes.filter((status) => status === 413).length).toBeGreaterThanOrEqual(3);
  for (const { stop } of all) stop();
  await expect.poll(async () => (await countStored(server)).incoming, { timeout: 20_000 }).toBe(0);
}, 60_000);

/** Sends a megabyte of form data, without declaring its size or finishing the form. */
function openChunked(by: Person): { answer: Promise<number>; stop: () => void } {
  const outgoing = request(`${server.url}/api/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${by.token}`, 'content-type': 'multipart/form-data; boundary=b' },
  });
  outgoing.on('error', () => {});
  outgoing.write(formOf(Buffer.alloc(1_000_000)).subarray(0, -9));
  const answer = once(outgoing, 'response').then(([{ statusCode }]) => statusCode);
  answer.catch(() => undefined);
  return { answer, stop: () => outgoing.destroy() };
}
