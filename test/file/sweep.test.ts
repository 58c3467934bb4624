import { createHash } from 'node:crypto';
import { mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { connectDatabase, disconnectDatabase, type Db } from '../../src/postgres/client.ts';
import { comparePrefix, fileChores, sweepLoose, sweepUnattached } from '../../src/file/file-sweep.ts';
import { LocalStore } from '../../src/file/store/local.ts';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { countStored, download, nothingInline, readFileNode, upload } from '../support/file.ts';
import { deleteMessage } from '../support/message.ts';
import { rounds } from '../support/rounds.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { atFileEnd } from '../support/file-end.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let chatId: string;
let sweeping: { db: Db; store: LocalStore };
beforeAll(async () => {
  server = await startServer({ env: nothingInline });
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  chatId = await createGroup(ada, [grace]);
  const db = connectDatabase({
    url: server.database.url,
    maxConnections: 4,
    statementTimeoutMs: 10_000,
    onError: () => {},
  });
  sweeping = { db, store: new LocalStore(join(server.dataDir, 'files')) };
});
atFileEnd(() => disconnectDatabase(sweeping.db));

const hashOf = (content: string) => createHash('sha256').update(content).digest('hex');
const pathOf = (hash: string) => join(server.dataDir, 'files', hash.slice(0, 2), hash.slice(2));
const isStored = async (content: string) =>
  (await sweeping.store.list(hashOf(content).slice(0, 2))).includes(hashOf(content));
const age = (table: string, column: string, where: string) =>
  server.sql.query(`update ${table} set ${column} = now() - interval '25 hours' where ${where}`);

async function shareFile(content: string): Promise<{ id: string; messageId: string }> {
  const { id } = await upload(server, ada, content);
  return { id, messageId: await say(ada, chatId, 'look', { fileIds: [id] }) };
}

test('an upload without a message after a day is deleted with its bytes; one with a message stays', async () => {
  const forgotten = await upload(server, ada, 'forgotten');
  const fresh = await upload(server, ada, 'fresh');
  const shared = await shareFile('shared');
  await age('files', 'created_at', `id in (${keyOf(forgotten.id)}, ${keyOf(shared.id)})`);
  expect(await sweepUnattached(sweeping, 10)).toBe(1);
  expect(await sweepLoose(sweeping, 10)).toBe(1);
  expect(await readFileNode(ada, forgotten.id)).toBeNull();
  expect(await readFileNode(ada, fresh.id)).not.toBeNull();
  expect(await readFileNode(grace, shared.id)).not.toBeNull();
  expect(await Promise.all(['forgotten', 'fresh', 'shared'].map(isStored))).toEqual([false, true, true]);
});

test('the bytes of a deleted message, chat or account are deleted, except those that another user also has', async () => {
  const [byMessage, shared] = [await shareFile('of a message'), await shareFile('of two people')];
  await upload(server, grace, 'of two people');
  const other = await createGroup(ada, [grace]);
  const { id } = await upload(server, ada, 'of a chat');
  await say(ada, other, 'look', { fileIds: [id] });
  const leaver = await signUp(server, 'leaver');
  await upload(server, leaver, 'of an account');
  const contents = ['of a message', 'of a chat', 'of an account', 'of two people'];
  expect(await Promise.all(contents.map(isStored))).toEqual([true, true, true, true]);
  await deleteMessage(ada, byMessage.messageId);
  await deleteMessage(ada, shared.messageId);
  await ada.ask('mutation ($id: ID!) { deleteChat(chatId: $id) { __typename } }', { id: other });
  await server.sql.query('delete from users where id = $1', [keyOf(leaver.userId)]);
  await sweepLoose(sweeping, 100);
  expect(await Promise.all(contents.map(isStored))).toEqual([false, false, false, true]);
  expect((await server.sql.query('select from loose_blobs')).rowCount).toBe(0);
});

test('bytes that are uploaded again while they are being swept are still there afterwards', async () => {
  for (let round = 0; round < rounds(8, 20); round += 1) {
    const content = `again ${round}`;
    const { messageId } = await shareFile(content);
    await deleteMessage(ada, messageId);
    const [again] = await Promise.all([upload(server, grace, content), sweepLoose(sweeping, 10)]);
    expect(await (await download(server, again.url)).text()).toBe(content);
    await comparePrefix(sweeping, hashOf(content).slice(0, 2));
    expect(await isStored(content)).toBe(true);
  }
});

test('bytes without a row are removed, and nothing else', async () => {
  const hash = hashOf('a stray');
  const kept = await upload(server, ada, 'no stray');
  await mkdir(dirname(pathOf(hash)), { recursive: true });
  await writeFile(pathOf(hash), 'a stray');
  expect(await isStored('a stray')).toBe(true);
  for (const content of ['a stray', 'no stray']) await comparePrefix(sweeping, hashOf(content).slice(0, 2));
  expect(await isStored('a stray')).toBe(false);
  expect(await (await download(server, kept.url)).text()).toBe('no stray');
});

test('a row without bytes is deleted if they are still missing a day later', async () => {
  const prefix = hashOf('lost').slice(0, 2);
  const { id } = await upload(server, ada, 'lost');
  const aside = join(server.dataDir, 'aside');
  await rename(pathOf(hashOf('lost')), aside);
  expect(await comparePrefix(sweeping, prefix)).toBe(1);
  expect(await readFileNode(ada, id)).not.toBeNull();
  await rename(aside, pathOf(hashOf('lost')));
  expect(await comparePrefix(sweeping, prefix)).toBe(0);
  await rm(pathOf(hashOf('lost')));
  await comparePrefix(sweeping, prefix);
  await age('blobs', 'missing_since', 'missing_since is not null');
  await comparePrefix(sweeping, prefix);
  expect(await readFileNode(ada, id)).toBeNull();
  expect((await server.sql.query('select from blobs where missing_since is not null')).rowCount).toBe(0);
});

test('bytes that were lost are available again after another upload', async () => {
  const { id, url } = await upload(server, ada, 'found again');
  await rm(pathOf(hashOf('found again')));
  await comparePrefix(sweeping, hashOf('found again').slice(0, 2));
  expect((await download(server, url)).status).toBe(500);
  await upload(server, grace, 'found again');
  await age('blobs', 'missing_since', 'missing_since is not null');
  expect(await comparePrefix(sweeping, hashOf('found again').slice(0, 2))).toBe(0);
  expect(await readFileNode(ada, id)).not.toBeNull();
  expect(await (await download(server, url)).text()).toBe('found again');
});

test('housekeeping removes partially received files that a crash left, once they are a day old', async () => {
  const incoming = join(server.dataDir, 'files/incoming');
  await Promise.all(['old', 'new'].map((name) => writeFile(join(incoming, name), 'half')));
  const dayAgo = new Date(Date.now() - 25 * 60 * 60_000);
  await utimes(join(incoming, 'old'), dayAgo, dayAgo);
  for (const { clear } of fileChores(sweeping, () => {})) await clear(100);
  expect((await countStored(server)).incoming).toBe(1);
  await rm(join(incoming, 'new'));
});
