import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { beforeAll, expect, test } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { addMembers, createGroup, keyOf, removeMember, sendMessage } from '../support/chat.ts';
import { signIn, signUp, type Person } from '../support/client.ts';
import { download, readFileNode, upload } from '../support/file.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

const content = 'The Analytical Engine weaves algebraic patterns';

async function share(name = 'engine.txt', bytes: Parameters<typeof upload>[2] = content) {
  const chatId = await createGroup(ada, [grace]);
  const { id } = await upload(server, ada, bytes, name);
  const message = await sendMessage(ada, chatId, 'look', { fileIds: [id] });
  expect(message.__typename).toBe('Message');
  const { url } = await readFileNode(grace, id);
  return { chatId, messageId: message.id, id, url };
}

test('a link returns the bytes, on every node, with all headers that keep a browser from running them', async () => {
  const { url } = await share();
  for (const node of [server, otherNode]) {
    const response = await download(node, url);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-length': String(content.length),
      'content-disposition': 'inline; filename="engine.txt"',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
      'cache-control': 'private, no-cache',
      'accept-ranges': 'bytes',
      'access-control-allow-origin': '*',
    });
    expect(await response.text()).toBe(content);
  }
});

test('HEAD returns the same headers without the bytes', async () => {
  const { url } = await share();
  const [get, head] = await Promise.all([download(server, url), download(server, url, { method: 'HEAD' })]);
  expect(head.status).toBe(200);
  for (const name of ['content-length', 'content-type', 'etag', 'content-disposition']) {
    expect(head.headers.get(name)).toBe(get.headers.get(name));
  }
  expect(await head.text()).toBe('');
});

test('a link is read-only', async () => {
  const { url } = await share();
  const response = await download(server, url, { method: 'DELETE' });
  expect(response.status).toBe(405);
  expect(response.headers.get('allow')).toBe('GET, HEAD');
});

test.each([
  ['bytes=0-2', 'The', 'bytes 0-2/47'],
  ['bytes=39-', 'patterns', 'bytes 39-46/47'],
  ['bytes=-8', 'patterns', 'bytes 39-46/47'],
  ['bytes=39-1000', 'patterns', 'bytes 39-46/47'],
  ['bytes=-1000', content, 'bytes 0-46/47'],
  ['bytes=46-46', 's', 'bytes 46-46/47'],
])('Range: %s returns "%s"', async (range, text, contentRange) => {
  const { url } = await share();
  const response = await download(server, url, { headers: { range } });
  expect(response.status).toBe(206);
  expect(response.headers.get('content-range')).toBe(contentRange);
  expect(response.headers.get('content-length')).toBe(String(text.length));
  expect(await response.text()).toBe(text);
});

test('a range beyond the end gets 416, and an invalid one is ignored', async () => {
  const { url } = await share();
  for (const range of ['bytes=47-', 'bytes=99-100', 'bytes=-0']) {
    const response = await download(server, url, { headers: { range } });
    expect(response.status).toBe(416);
    expect(response.headers.get('content-range')).toBe('bytes */47');
  }
  for (const range of ['bytes=5-2', 'lines=1-2', 'bytes=-', 'bytes=0-1,3-4', 'bytes=a-b']) {
    const response = await download(server, url, { headers: { range } });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(content);
  }
});

test('a client that already has the bytes gets 304, and a conditional range never mixes bytes of different files', async () => {
  const { url } = await share();
  const etag = (await download(server, url)).headers.get('etag') ?? '';
  for (const header of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const response = await download(server, url, { headers: { 'if-none-match': header } });
    expect(response.status).toBe(304);
    expect(await response.text()).toBe('');
  }
  expect((await download(server, url, { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
  const ifRange = (condition: string) =>
    download(server, url, { headers: { range: 'bytes=0-2', 'if-range': condition } });
  expect((await ifRange(etag)).status).toBe(206);
  expect((await ifRange('"other"')).status).toBe(200);
});

test('a client that disconnects in the middle of a download causes no server error, and the server keeps working', async () => {
  const { url } = await upload(server, ada, new Uint8Array(20_000_000), 'large.bin');
  for (let count = 0; count < 3; count += 1) {
    const incoming = request(new URL(url, server.url)).end();
    const [response] = (await once(incoming, 'response')) as [IncomingMessage];
    await once(response, 'data');
    incoming.destroy();
  }
  expect((await (await download(server, url)).arrayBuffer()).byteLength).toBe(20_000_000);
  expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('simultaneous downloads do not mix their bytes', async () => {
  const all = await Promise.all(
    Array.from({ length: 30 }, async (_, index) => {
      const by = index % 2 === 0 ? ada : grace;
      return { text: `content of ${index}`, file: await upload(server, by, `content of ${index}`, `${index}.txt`) };
    }),
  );
  await Promise.all(
    all.map(async ({ text, file }) => expect(await (await download(server, file.url)).text()).toBe(text)),
  );
});

test('a link that was changed or has expired is refused', async () => {
  const { url, id } = await share();
  expect((await download(server, url)).status).toBe(200);
  const changed = (change: (query: URLSearchParams) => void) => {
    const changing = new URL(url, server.url);
    change(changing.searchParams);
    return changing.href;
  };
  const other = await upload(server, ada, 'something else');
  const refused = [
    changed((query) => query.set('viewer', keyOf(ada.userId))),
    changed((query) => query.set('session', String(Number(query.get('session')) + 1))),
    changed((query) => query.set('expires', String(Number(query.get('expires')) + 1))),
    changed((query) => query.set('signature', 'x')),
    changed((query) => query.set('signature', '')),
    changed((query) => query.delete('signature')),
    changed((query) => query.delete('viewer')),
    changed((query) => query.delete('session')),
    changed((query) => query.delete('expires')),
    url.replace(id, other.id),
    url.replace(id, 'nonsense'),
    url.replace(id, grace.userId),
    url.split('?')[0] ?? '',
  ];
  for (const each of refused) expect((await download(server, each)).status).toBe(403);
});

test('only the link of a user who was removed from the chat stops working', async () => {
  const { chatId, id, url } = await share();
  const adas = (await readFileNode(ada, id)).url;
  expect((await download(server, url)).status).toBe(200);
  await removeMember(server, chatId, grace);
  expect((await download(server, url)).status).toBe(404);
  expect((await download(server, adas)).status).toBe(200);
});

/** Returns whether the link still works on every node, with each method, and for a client that already has the file. */
async function isGood(url: string, etag: string): Promise<boolean> {
  const inits: RequestInit[] = [{}, { method: 'HEAD' }, { headers: { 'if-none-match': etag } }];
  const requests = [server, otherNode].flatMap((node) => inits.map((init) => download(node, url, init)));
  const statuses = new Set((await Promise.all(requests)).map(({ status }) => (status === 304 ? 200 : status)));
  expect(statuses.size).toBe(1);
  return statuses.has(200);
}

test.each([
  ['signs out', async (phone: Person) => void (await phone.ask('mutation { signOut }'))],
  [
    'is signed out by another',
    async (_: Person, laptop: Person) => {
      const { sessions } = (await laptop.ask('{ viewer { sessions { id isCurrent } } }')).viewer;
      for (const { id, isCurrent } of sessions) {
        if (!isCurrent)
          await laptop.ask('mutation ($id: ID!) { revokeSession(sessionId: $id) { __typename } }', { id });
      }
    },
  ],
  [
    'changes the password on another',
    async (_: Person, laptop: Person) => {
      const input = { currentPassword: laptop.password, newPassword: 'a loom that weaves flowers' };
      const changed = await laptop.ask(
        'mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { __typename } }',
        { input },
      );
      expect(changed.changePassword.__typename).toBe('SignedIn');
    },
  ],
])('when a user with two devices %s, only that device’s links stop working, immediately', async (_, end) => {
  const laptop = await signUp(server, `user${Math.random().toString(36).slice(2)}`);
  const phone = await signIn(server, laptop);
  const chatId = await createGroup(ada, [laptop]);
  const { id } = await upload(server, ada, content);
  await sendMessage(ada, chatId, 'look', { fileIds: [id] });
  const urlFor = async (by: Person): Promise<string> => (await readFileNode(by, id)).url;
  const [ours, phones, adas] = await Promise.all([urlFor(laptop), urlFor(phone), urlFor(ada)]);
  const etag = (await download(server, ours)).headers.get('etag') ?? '';
  for (const url of [ours, phones, adas]) expect(await isGood(url, etag)).toBe(true);
  await end(phone, laptop);
  expect(await isGood(phones, etag)).toBe(false);
  for (const url of [ours, adas]) expect(await isGood(url, etag)).toBe(true);
});

test('the links of an account stop working when it is erased, on each of its devices', async () => {
  const leaver = await signUp(server, `leaver${Math.random().toString(36).slice(2)}`);
  const phone = await signIn(server, leaver);
  const chatId = await createGroup(ada, [leaver]);
  const { id, url: own } = await upload(server, ada, content);
  await sendMessage(ada, chatId, 'look', { fileIds: [id] });
  const urls = await Promise.all([leaver, phone].map(async (by) => (await readFileNode(by, id)).url as string));
  for (const url of urls) expect(await isGood(url, '*')).toBe(true);
  await leaver.ask('mutation ($password: String!) { deleteAccount(password: $password) { __typename } }', {
    password: leaver.password,
  });
  for (const url of urls) expect(await isGood(url, '*')).toBe(false);
  expect(await isGood(own, '*')).toBe(true);
});

test('a link ends when its session has not been used for 30 days, even before the session is deleted', async () => {
  const hedy = await signUp(server, `hedy${Math.random().toString(36).slice(2)}`);
  const { url } = await upload(server, hedy, content);
  expect(await isGood(url, '*')).toBe(true);
  await server.sql.query(`update sessions set last_used_at = now() - interval '30 days' where user_id = $1`, [
    keyOf(hedy.userId),
  ]);
  expect(await isGood(url, '*')).toBe(false);
});

test('a link works for almost a day, and a query within the same hour returns the same link', async () => {
  const { id, url } = await share();
  const expiresAt = Number(new URL(url, server.url).searchParams.get('expires'));
  const hours = expiresAt / 3_600 - Date.now() / 3_600_000;
  expect(hours).toBeGreaterThan(22.9);
  expect(hours).toBeLessThanOrEqual(24);
  const again: string = (await readFileNode(grace, id)).url;
  const isOneHour = new URL(again, server.url).searchParams.get('expires') === String(expiresAt);
  expect(isOneHour ? again : url).toBe(url);
});

test('while keys are rotated, a link works on nodes that sign with either key, until the key that signed it is removed', async () => {
  const key = (json: string) => JSON.parse(json).keys[0] as unknown;
  const [old, next] = [key(generateKeySet()), key(generateKeySet())];
  const start = (...keys: unknown[]) =>
    startServer({ database: server.database, env: { JWT_KEYS: JSON.stringify({ keys }) } });
  await using before = await start(old, next);
  await using after = await start(next, old);
  await using later = await start(next);
  const person = await signUp(before, `user${Math.random().toString(36).slice(2)}`);
  const { id, url } = await upload(before, person, content);
  const { url: newUrl } = await readFileNode({ ...person, ask: (...args) => after.ask(...args, person.token) }, id);
  for (const node of [before, after]) {
    expect((await download(node, url)).status).toBe(200);
    expect((await download(node, newUrl)).status).toBe(200);
  }
  expect((await download(later, url)).status).toBe(403);
  expect((await download(later, newUrl)).status).toBe(200);
});

test('a newcomer can read the files of the messages that they see, and no others', async () => {
  const linus = await signUp(server, `linus${Math.random().toString(36).slice(2)}`);
  const { chatId, id } = await share();
  const later = await upload(server, ada, 'later');
  await sendMessage(ada, chatId, '', { fileIds: [later.id] });
  await addMembers(server, chatId, [linus], 2);
  expect(await readFileNode(linus, later.id)).toMatchObject({ name: 'notes.txt' });
  expect(await readFileNode(linus, id)).toBeNull();
});

test('a file and its link are deleted with its message, its chat or its uploader', async () => {
  const byMessage = await share();
  const byChat = await share();
  const leaver = await signUp(server, `leaver${Math.random().toString(36).slice(2)}`);
  const byAccount = await createGroup(leaver, [grace]);
  const { id } = await upload(server, leaver, content);
  await sendMessage(leaver, byAccount, '', { fileIds: [id] });
  const urls = [byMessage.url, byChat.url, (await readFileNode(grace, id)).url];
  for (const url of urls) expect((await download(server, url)).status).toBe(200);
  await ada.ask('mutation ($id: ID!) { deleteMessage(messageId: $id) { __typename } }', { id: byMessage.messageId });
  await ada.ask('mutation ($id: ID!) { deleteChat(chatId: $id) { __typename } }', { id: byChat.chatId });
  await server.sql.query('delete from users where id = $1', [keyOf(leaver.userId)]);
  for (const url of urls) expect((await download(server, url)).status).toBe(404);
});

test.each([
  ['page.html', '<!doctype html><script>alert(1)</script>', 'inline', 'text/plain'],
  ['drawing.svg', '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', 'inline', 'text/plain'],
  ['form.xml', '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>', 'attachment', 'application/xml'],
  ['paper.pdf', '%PDF-1.7\n%âãÏÓ\n', 'attachment', 'application/pdf'],
])('%s is never served as something that a browser could run', async (name, bytes, disposition, contentType) => {
  const { url } = await share(name, bytes);
  const { headers } = await download(server, url);
  const type = headers.get('content-type') ?? '';
  expect(type).not.toMatch(/html|svg/);
  expect(type.split(';')[0]).toBe(contentType);
  expect(headers.get('content-disposition')?.split(';')[0]).toBe(disposition);
  expect(headers.get('content-security-policy')).toContain('sandbox');
});

test.each([
  ['plain.txt', 'inline; filename="plain.txt"'],
  ['naïve résumé.txt', `inline; filename="na_ve r_sum_.txt"; filename*=UTF-8''na%C3%AFve%20r%C3%A9sum%C3%A9.txt`],
  ['記録😀.txt', `inline; filename="___.txt"; filename*=UTF-8''%E8%A8%98%E9%8C%B2%F0%9F%98%80.txt`],
  ["it's (50%) *.txt", `inline; filename="it's (50_) *.txt"; filename*=UTF-8''it%27s%20%2850%25%29%20%2A.txt`],
  [
    'semi;colon, "quote".txt',
    `inline; filename="semi;colon, _quote_.txt"; filename*=UTF-8''semi%3Bcolon%2C%20%22quote%22.txt`,
  ],
])('the name %s arrives intact with the file', async (name, disposition) => {
  const { url } = await share(name);
  expect((await download(server, url)).headers.get('content-disposition')).toBe(disposition);
});
