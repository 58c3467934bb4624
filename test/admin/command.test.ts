import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { findCommand } from '../../src/admin/command-table.ts';
import { Misuse } from '../../src/admin/command.ts';
import { connectDatabase, disconnectDatabase, type Db } from '../../src/postgres/client.ts';
import { createGroup, createPublicChannel, say } from '../support/chat.ts';
import { signUpAll, type Data, type Person } from '../support/client.ts';
import { atFileEnd } from '../support/file-end.ts';
import { upload } from '../support/file.ts';
import { awaitIndex } from '../support/search.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { readAuditLog } from '../support/staff.ts';
import { followEvents } from '../support/stream.ts';
import { jsonIn, readZip } from '../support/zip.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let db: Db;
beforeAll(async () => {
  server = await startServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
  const { url } = server.database;
  await server.sql.query(`insert into users (username, email) values ('newcomer', 'newcomer@example.com')`);
  db = connectDatabase({ url, maxConnections: 2, statementTimeoutMs: 10_000, onError: () => {} });
});
atFileEnd(() => disconnectDatabase(db));

/** Runs a command as scripts/admin.ts does, but in this process. */
const run = async (...args: string[]) => {
  const storage = { dataDir: server.dataDir, fileStore: null, fileServing: 'stream' } as const;
  return findCommand(args)({ db, appUrl: 'https://chat.example.com', storage });
};

test('an operator grants the first admin', async () => {
  expect(await run('grant', 'ADA@example.com')).toBe('ada is now ADMIN.');
  expect((await ada.ask('{ viewer { serverRole } }')).viewer.serverRole).toBe('ADMIN');
});

test('roles are granted by username too, ignoring case, except that the last admin stays', async () => {
  expect(await run('grant', 'Grace', 'moderator')).toBe('grace is now MODERATOR.');
  expect((await grace.ask('{ admin { reports { edges { cursor } } } }')).admin.reports.edges).toEqual([]);
  await expect(run('grant', 'ada', 'USER')).rejects.toThrow('The server needs an admin');
  const [entry] = await readAuditLog(ada, { targetId: grace.userId });
  expect(entry).toMatchObject({ action: 'SET_SERVER_ROLE', actor: null, detail: { role: 'MODERATOR' } });
});

test('an operator exports the data of an account to a new file, and the audit log says so', async () => {
  const notes = await upload(server, linus, 'notes of Linus '.repeat(2_000), 'notes.txt');
  const path = join(server.dataDir, 'linus.zip');
  expect(await run('export', 'linus', path)).toBe(`The data of linus is in ${path}.`);
  const files = await readZip(await readFile(path));
  expect(jsonIn(files, 'profile.json')).toMatchObject({ username: 'linus', email: linus.email });
  expect(jsonIn(files, 'files.json')).toMatchObject([{ id: notes.id }]);
  expect(files.get(jsonIn(files, 'files.json')[0].path)?.toString()).toContain('notes of Linus');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  const [entry] = await readAuditLog(ada, { targetId: linus.userId });
  expect(entry).toMatchObject({ action: 'EXPORT_USER', actor: null });
  await expect(run('export', 'linus', path)).rejects.toThrow('The file cannot be created: EEXIST');
  await expect(run('export', 'stranger', `${path}.2`)).rejects.toThrow('There is no account stranger.');
});

test('an index that was emptied is filled again, for messages, people and channels', async () => {
  const chatId = await createGroup(ada, [grace]);
  await createPublicChannel(ada, 'lighthouse');
  await say(ada, chatId, 'a walrus');
  await awaitIndex(server);
  for (const table of ['entries', 'people', 'channels']) await server.sql.query(`delete from search_${table}`);
  const find = async () => {
    const found = await grace.ask(`{
      users(search: "grac") { edges { node { username } } } publicChannels(search: "light") { edges { node { name } } }
      searchMessages(query: "walrus") { edges { node { content } } }
    }`);
    return [found.users, found.publicChannels, found.searchMessages].flatMap(({ edges }) =>
      edges.flatMap(({ node }: Data) => Object.values(node)),
    );
  };
  expect(await find()).toEqual([]);
  expect(await run('reindex')).toBe('1 messages, 4 users and 1 public channels are indexed.');
  expect(await find()).toEqual(['grace', 'lighthouse', 'a walrus']);
});

test('a suspension by an operator ends the streams of a running server', async () => {
  const stream = await followEvents(server, linus);
  expect(await run('suspend', 'linus', '--until', '7d', '--reason', 'spam')).toMatch(
    /^linus is suspended until \d{4}-.*Z\.$/,
  );
  await stream.ended();
  const document = 'query ($id: ID!) { admin { user(id: $id) { suspension { reason } } } }';
  expect((await ada.ask(document, { id: linus.userId })).admin.user.suspension).toEqual({ reason: 'spam' });
  expect(await run('unsuspend', 'linus')).toBe('linus is no longer suspended.');
  expect(await run('unsuspend', 'linus')).toBe('linus was not suspended.');
});

test('an erasure by an operator is complete when the command ends', async () => {
  const [peggy] = await signUpAll(server, 'peggy');
  const id = await say(peggy, await createGroup(peggy, [grace]), 'to be deleted');
  expect(await run('erase', 'peggy', '--messages', 'delete')).toBe('peggy is erased.');
  const document = 'query ($id: ID!) { node(id: $id) { ... on Message { content deletedAt } } }';
  expect((await grace.ask(document, { id })).node).toMatchObject({ content: null });
  expect((await ada.ask('query ($id: ID!) { node(id: $id) { id } }', { id: peggy.userId })).node).toBeNull();
});

test('an operator’s link resets a password once, and is in the audit log', async () => {
  const link = await run('reset-link', 'linus');
  const [, token] = /^https:\/\/chat\.example\.com\/reset-password#token=(\S+)$/.exec(link) ?? [];
  const document = `mutation ($token: String!, $newPassword: String!) {
    resetPassword(token: $token, newPassword: $newPassword) { __typename }
  }`;
  const reset = async () => (await server.ask(document, { token, newPassword: 'correct horse battery' })).resetPassword;
  expect(await reset()).toEqual({ __typename: 'SignedIn' });
  // This server sends no mail, so only an operator can create codes.
  expect(await reset()).toEqual({ __typename: 'Forbidden' });
  const signIn = 'mutation ($input: SignInInput!) { signIn(input: $input) { __typename } }';
  const input = { email: linus.email, password: 'correct horse battery' };
  expect((await server.ask(signIn, { input })).signIn.__typename).toBe('SignedIn');
  const entries = await readAuditLog(ada, { targetId: linus.userId });
  expect(entries).toContainEqual(expect.objectContaining({ action: 'CREATE_RESET_LINK', actor: null }));
});

test.each([
  [[], 'Name a command.'],
  [['promote', 'ada'], 'There is no command promote.'],
  [['grant'], 'An argument is missing.'],
  [['grant', 'nonesuch'], 'There is no account nonesuch.'],
  [['grant', 'ada', 'OWNER'], 'There is no role OWNER.'],
  [['grant', 'ada', 'ADMIN', 'now'], 'There are too many arguments.'],
  [['suspend', 'ada', '--until', 'later'], '--until must be a duration'],
  [['suspend', 'ada', '--for', '7d'], "Unknown option '--for'"],
  [['reset-link', 'newcomer'], 'newcomer has no password to reset.'],
  [['erase', 'ada'], '--messages must be keep or delete.'],
])('a mistake in %j is refused', async (args, message) => {
  const mistake = await run(...args).catch((error: unknown) => error);
  expect(mistake).toBeInstanceOf(Misuse);
  expect((mistake as Misuse).message).toContain(message);
});
