import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { continueDeletions } from '../../src/account/account-deletion.ts';
import { purgeReports } from '../../src/admin/report.ts';
import { sweepLoose, sweepUnattached } from '../../src/file/file-sweep.ts';
import { LocalStore } from '../../src/file/store/local.ts';
import { connectDatabase, disconnectDatabase, type Db } from '../../src/postgres/client.ts';
import { addMembers, createGroup, createPublicChannel, keyOf, say } from '../support/chat.ts';
import { signUp, signUpAll, type Data, type Person } from '../support/client.ts';
import { download, nothingInline, upload } from '../support/file.ts';
import { atFileEnd } from '../support/file-end.ts';
import { deleteMessage, editMessage, onNode, readMessage } from '../support/message.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { readAuditLog, readReport, reportMessage, resolveReport, setRoleWithSql } from '../support/staff.ts';
import { recordStatements } from '../support/statements.ts';
import { eventOf, followEvents } from '../support/stream.ts';
import { join } from 'node:path';

let server: TestServer;
let other: TestServer;
let ada: Person;
let marge: Person;
let grace: Person;
let linus: Person;
let sweeping: { db: Db; store: LocalStore };
beforeAll(async () => {
  server = await startServer({ env: nothingInline });
  other = await startServer({ database: server.database, env: nothingInline });
  [ada, marge, grace, linus] = await signUpAll(server, 'ada', 'marge', 'grace', 'linus');
  await setRoleWithSql(server, ada, 'ADMIN');
  await setRoleWithSql(server, marge, 'MODERATOR');
  const { url } = server.database;
  const db = connectDatabase({ url, maxConnections: 4, statementTimeoutMs: 10_000, onError: () => {} });
  sweeping = { db, store: new LocalStore(join(server.dataDir, 'files')) };
});
atFileEnd(() => disconnectDatabase(sweeping.db));

/** Sends a message from Linus to Grace in a chat that no one else can see. */
async function offend(content = 'an offence'): Promise<{ chatId: string; id: string }> {
  const chatId = await createGroup(linus, [grace]);
  return { chatId, id: await say(linus, chatId, content) };
}

const nothing = {
  reported: null,
  author: null,
  content: null,
  files: null,
  reporter: null,
  comment: null,
  resolution: null,
  note: null,
  surroundings: null,
};

const queueOf = async (by: Person, isOpen: boolean | null): Promise<string[]> => {
  const document = 'query ($isOpen: Boolean) { admin { reports(isOpen: $isOpen) { edges { node { id } } } } }';
  return (await by.ask(document, { isOpen })).admin.reports.edges.map(({ node }: Data) => node.id);
};

test('staff see what was reported, who reported it and why, and the reporter sees that it exists and when it is resolved', async () => {
  const { id } = await offend();
  const report = await reportMessage(grace, id, { comment: ' He does this daily. ' });
  expect(report).toMatchObject({ __typename: 'Report', reason: 'HARASSMENT', resolvedAt: null, ...nothing });
  const seen = {
    content: 'an offence',
    author: { username: 'linus' },
    reporter: { username: 'grace' },
    comment: 'He does this daily.',
    reported: null,
    files: [],
  };
  for (const staff of [marge, ada]) expect(await readReport(staff, report.id)).toMatchObject(seen);
  expect(await queueOf(marge, true)).toContain(report.id);

  expect(await resolveReport(marge, report.id, 'USER_WARNED', 'Spoke with him.')).toMatchObject({
    resolution: 'USER_WARNED',
    note: 'Spoke with him.',
  });
  const { resolvedAt, ...own } = await readReport(grace, report.id);
  expect(resolvedAt).not.toBeNull();
  expect(own).toMatchObject(nothing);
  expect(await queueOf(marge, true)).not.toContain(report.id);
  expect(await queueOf(marge, false)).toContain(report.id);
  expect(await queueOf(ada, null)).toContain(report.id);
  expect((await readMessage(grace, id)).content).toBe('an offence');
});

test('others see nothing of a report: not its author, nor anyone else', async () => {
  const { id } = await offend();
  const report = await reportMessage(grace, id);
  const peggy = await signUp(server, 'peggy');
  for (const person of [linus, peggy]) {
    expect(await readReport(person, report.id)).toBeNull();
    expect((await resolveReport(person, report.id, 'NO_ACTION')).__typename).toBe('Forbidden');
  }
  expect((await resolveReport(grace, report.id, 'NO_ACTION')).__typename).toBe('Forbidden');
  expect((await server.ask('query ($id: ID!) { node(id: $id) { id } }', { id: report.id })).node).toBeNull();
  expect((await peggy.ask('{ admin { reports { edges { node { id } } } } }')).admin).toBeNull();
});

describe('what can be reported:', () => {
  test('only a message that the user sees, of another user, that is not deleted', async () => {
    const { id } = await offend();
    const peggy = await signUp(server, 'peggy2');
    expect((await reportMessage(peggy, id)).__typename).toBe('NotFound');
    expect((await reportMessage(ada, id)).__typename).toBe('NotFound');
    expect(await reportMessage(linus, id)).toMatchObject({ fields: [{ path: ['messageId'], code: 'NOT_ALLOWED' }] });
    expect(await reportMessage(grace, id, { comment: 'x'.repeat(1_001) })).toMatchObject({
      fields: [{ path: ['comment'], code: 'TOO_LONG' }],
    });
    await deleteMessage(linus, id);
    expect((await reportMessage(grace, id)).__typename).toBe('NotFound');
    const { errors } = await server.post(`mutation { reportMessage(messageId: "${id}", reason: SPAM) { __typename } }`);
    expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
    const channel = await createPublicChannel(linus);
    expect((await reportMessage(peggy, await say(linus, channel, 'spam'))).__typename).toBe('Report');
  });

  test('a message once by each user, even at the same time on two nodes, and after its deletion', async () => {
    const { chatId, id } = await offend();
    const reports = await Promise.all(
      [grace, onNode(other, grace), grace, onNode(other, grace)].map((by) => reportMessage(by, id)),
    );
    expect(new Set(reports.map((report) => report.id)).size).toBe(1);
    await addMembers(server, chatId, [ada]);
    expect((await reportMessage(ada, id)).id).not.toBe(reports[0].id);
    await deleteMessage(linus, id);
    expect((await reportMessage(grace, id)).id).toBe(reports[0].id);
  });
});

test('a report keeps the content past an edit, a deletion and an erasure, and the message is shown only to those who see it', async () => {
  const walter = await signUp(server, 'walter');
  const chatId = await createGroup(walter, [grace, marge]);
  const id = await say(walter, chatId, 'the first wording');
  const report = await reportMessage(grace, id);
  await editMessage(walter, id, 'another wording');
  expect(await readReport(marge, report.id)).toMatchObject({
    content: 'the first wording',
    reported: { content: 'another wording' },
  });
  expect(await readReport(ada, report.id)).toMatchObject({ content: 'the first wording', reported: null });
  await deleteMessage(walter, id);
  expect(await readReport(marge, report.id)).toMatchObject({ content: 'the first wording', reported: null });
  await walter.ask('mutation ($password: String!) { deleteAccount(password: $password) { __typename } }', {
    password: walter.password,
  });
  while ((await continueDeletions(sweeping, 100)) > 0);
  await server.sql.query('delete from chats where id = $1', [keyOf(chatId)]);
  expect(await readReport(marge, report.id)).toMatchObject({
    content: 'the first wording',
    reported: null,
    author: null,
    reporter: { username: 'grace' },
    surroundings: [],
  });
});

test('files as reported stay readable for staff alone, past the deletion of the message and the sweep, until the report is purged', async () => {
  const chatId = await createGroup(linus, [grace]);
  const content = 'an offensive file';
  const { id: fileId } = await upload(server, linus, content, 'offence.txt');
  const id = await say(linus, chatId, '', { fileIds: [fileId] });
  const report = await reportMessage(grace, id);
  await deleteMessage(linus, id);
  const hash = createHash('sha256').update(content).digest('hex');
  const isStored = async () => (await sweeping.store.list(hash.slice(0, 2))).includes(hash);
  await sweepUnattached(sweeping, 100);
  while ((await sweepLoose(sweeping, 100)) > 0);
  expect(await isStored()).toBe(true);

  const { files } = await readReport(marge, report.id);
  expect(files).toMatchObject([{ name: 'offence.txt', contentType: 'text/plain', size: content.length }]);
  expect(await (await download(server, files[0].url)).text()).toBe(content);
  // The link is valid for one session only, and stops working when the user loses the role.
  expect((await download(server, files[0].url.replace(/viewer=\d+/, `viewer=${keyOf(grace.userId)}`))).status).toBe(
    403,
  );
  const asFile = files[0].url.replace(/\/files\/[^/]+\//, `/files/${fileId}/`);
  expect((await download(server, asFile)).status).toBe(403);
  await setRoleWithSql(server, marge, 'USER');
  expect((await download(server, files[0].url)).status).toBe(404);
  await setRoleWithSql(server, marge, 'MODERATOR');
  expect((await download(server, files[0].url)).status).toBe(200);
  // The link also expires with a session that another system's tokens keep alive.
  const keepSession = (issuer: string | null) =>
    server.sql.query(
      `update sessions set issuer = $2::text, foreign_key = $2::text, token_issued_at = case when $2::text is not null then now() end,
        expires_at = case when $2::text is not null then now() end
      where user_id = $1`,
      [keyOf(marge.userId), issuer],
    );
  await keepSession('https://id.example');
  expect((await download(server, files[0].url)).status).toBe(404);
  await keepSession(null);

  await resolveReport(marge, report.id, 'NO_ACTION');
  await server.sql.query(`update reports set resolved_at = now() - interval '89 days' where id = $1`, [
    keyOf(report.id),
  ]);
  await purgeReports(sweeping.db, 100);
  expect(await readReport(marge, report.id)).not.toBeNull();
  // Resolving the report again does not extend the 90 days.
  await resolveReport(marge, report.id, 'USER_WARNED');
  await server.sql.query(`update reports set resolved_at = resolved_at - interval '25 hours' where id = $1`, [
    keyOf(report.id),
  ]);
  await purgeReports(sweeping.db, 100);
  expect(await readReport(marge, report.id)).toBeNull();
  while ((await sweepLoose(sweeping, 100)) > 0);
  expect(await isStored()).toBe(false);
});

test('staff see five messages before and after the reported one, as they are now, and each look is in the audit log', async () => {
  const chatId = await createGroup(linus, [grace]);
  const ids: string[] = [];
  for (let seq = 1; seq <= 14; seq += 1) ids.push(await say(seq % 2 === 0 ? grace : linus, chatId, `message ${seq}`));
  const report = await reportMessage(grace, ids[6] ?? '');
  await deleteMessage(linus, ids[4] ?? '');
  const { surroundings } = await readReport(marge, report.id);
  expect(surroundings.map(({ seq }: Data) => seq)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  expect(surroundings[3]).toMatchObject({ content: null, isReported: false });
  expect(surroundings[5]).toMatchObject({ content: 'message 7', isReported: true, sender: { username: 'linus' } });
  const { nodes } = await marge.ask('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids: [...ids, chatId] });
  expect(nodes.filter((node: Data) => node !== null)).toEqual([]);

  const entriesOf = async () =>
    (await readAuditLog(ada, { targetId: report.id })).map(({ action, actor }) => [action, actor]);
  const margeLooks = [
    ['READ_REPORT', { username: 'marge' }],
    ['READ_REPORT_CONTEXT', { username: 'marge' }],
  ];
  const looks = await entriesOf();
  expect(looks).toHaveLength(2);
  expect(looks).toEqual(expect.arrayContaining(margeLooks));
  // A request that returns no evidence does not count as access to it.
  await marge.ask('{ admin { reports { edges { node { id reason createdAt author { username } } } } } }');
  await readReport(grace, report.id);
  await readReport(linus, report.id);
  expect(await entriesOf()).toHaveLength(2);
  // Reading the evidence again adds another entry.
  const list = '{ admin { reports { edges { node { content } } } } }';
  await marge.ask(list);
  expect(await entriesOf()).toHaveLength(3);
  await ada.ask(list);
  expect(await entriesOf()).toHaveLength(4);
});

test('MESSAGE_DELETED deletes the message of a chat that staff cannot see, and its members receive that', async () => {
  const { id } = await offend();
  const report = await reportMessage(grace, id);
  await using stream = await followEvents(server, grace);
  expect(await resolveReport(marge, report.id, 'MESSAGE_DELETED')).toMatchObject({ resolution: 'MESSAGE_DELETED' });
  expect(eventOf(await stream.next('MessageDeleted'))).toMatchObject({ message: { id, content: null } });
  expect((await readReport(marge, report.id)).content).toBe('an offence');
  const [entry] = (await readAuditLog(ada, { targetId: report.id })).filter(
    ({ action }) => action === 'RESOLVE_REPORT',
  );
  expect(entry).toMatchObject({
    actor: { username: 'marge' },
    detail: { resolution: 'MESSAGE_DELETED', user: linus.userId },
  });
  // A new decision replaces the previous one, but the message stays deleted.
  expect(await resolveReport(ada, report.id, 'NO_ACTION', 'Too late.')).toMatchObject({
    resolution: 'NO_ACTION',
    note: 'Too late.',
  });
  expect(
    (await resolveReport(marge, Buffer.from('Report:1000000').toString('base64url'), 'NO_ACTION')).__typename,
  ).toBe('NotFound');
  expect(await resolveReport(marge, report.id, 'NO_ACTION', ' ')).toMatchObject({ fields: [{ path: ['note'] }] });
});

test('when a message is reported and deleted at the same time, the report has the content or is refused', async () => {
  for (let round = 0; round < 5; round += 1) {
    const { id } = await offend(`round ${round}`);
    const [report] = await Promise.all([reportMessage(grace, id), deleteMessage(onNode(other, linus), id)]);
    const isMade = report.__typename === 'Report';
    const outcome = isMade ? (await readReport(ada, report.id)).content : report.__typename;
    expect([`round ${round}`, 'NotFound']).toContain(outcome);
  }
});

test('psql can neither forge what was reported nor change it', async () => {
  const { id } = await offend();
  const { rows } = await server.sql.query(
    `insert into reports (message_id, reporter_id, reason, content, author_id)
    values ($1, $2, 'SPAM', 'forged', $2) returning id, content, author_id::text as author`,
    [keyOf(id), keyOf(grace.userId)],
  );
  expect(rows).toMatchObject([{ content: 'an offence', author: keyOf(linus.userId) }]);
  await expect(
    server.sql.query(`update reports set content = 'forged' where id = $1`, [rows[0].id]),
  ).rejects.toMatchObject({ code: '23514' });
});

test('fifteen reports cost the same number of statements as one', async () => {
  const chatId = await createGroup(linus, [grace]);
  await server.sql.query(
    `with sent as (
      insert into messages (chat_id, sender_id, content) select $1, $2, 'n ' || generate_series(1, 50) returning id
    ) select count(*) from sent`,
    [keyOf(chatId), keyOf(linus.userId)],
  );
  await server.sql.query(
    `insert into reports (message_id, reporter_id, reason) select id, $2, 'SPAM' from messages where chat_id = $1`,
    [keyOf(chatId), keyOf(grace.userId)],
  );
  const document = `query ($first: Int!) { admin { reports(first: $first) { edges { node {
    message { id } author { username } content files { name url } surroundings { content sender { username } } reporter { username }
  } } } } }`;
  const count = async (first: number) => (await recordStatements(server, () => ada.ask(document, { first }))).length;
  expect((await ada.ask(document, { first: 15 })).admin.reports.edges).toHaveLength(15);
  expect(await count(15)).toBe(await count(1));
});
