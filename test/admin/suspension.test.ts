import { beforeAll, describe, expect, test } from 'vitest';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signIn, signUpAll, type Data, type Person } from '../support/client.ts';
import { onNode } from '../support/message.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { readAuditLog, setRoleWithSql, suspendUser, unsuspendUser } from '../support/staff.ts';
import { eventOf, followChat, followEvents } from '../support/stream.ts';
import { writeWithSql } from '../support/writer.ts';

let server: TestServer;
let other: TestServer;
let ada: Person;
let marge: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await sharedServer();
  other = await sharedNode(server);
  [ada, marge, grace, linus] = await signUpAll(server, 'ada', 'marge', 'grace', 'linus');
  await setRoleWithSql(server, ada, 'ADMIN');
  await setRoleWithSql(server, marge, 'MODERATOR');
});

/** Tries to sign in, and returns the result, including errors. */
async function trySignIn(node: TestServer, { email }: Person, password: string): Promise<Data> {
  const document = `mutation ($input: SignInInput!) {
    signIn(input: $input) {
      __typename ... on Error { message } ... on Forbidden { until reason } ... on SignedIn { accessToken }
    }
  }`;
  return (await node.ask(document, { input: { email, password } })).signIn;
}

const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();
const countSessions = async ({ userId }: Person) =>
  (await server.sql.query('select from sessions where user_id = $1', [keyOf(userId)])).rowCount;

test('a suspension on one node ends the user’s streams on the other within a second, at its place in the log', async () => {
  const phone = await signIn(server, grace);
  const chatId = await createGroup(ada, [grace, linus]);
  const streams = await Promise.all([followEvents(other, phone), followChat(other, phone, chatId)]);
  await using witness = await followEvents(other, linus);
  const writer = writeWithSql(server.database.url, [chatId], linus);
  for (let heard = 0; heard < 20; heard += 1) await witness.next('NewMessage');
  expect(await suspendUser(ada, grace.userId)).toMatchObject({ __typename: 'AdminUser', suspension: { until: null } });
  const startedAt = performance.now();
  const ended = await Promise.all(streams.map((stream) => stream.ended()));
  expect(performance.now() - startedAt).toBeLessThan(1_000);
  for (let heard = 0; heard < 20; heard += 1) await witness.next('NewMessage');
  await writer.stop();

  const { rows } = await server.sql.query<{ seq: number; isBefore: boolean }>(
    `select seq, id < (select min(id) from events where kind = 'SessionEnded' and user_id = $2) as "isBefore"
    from events where kind = 'NewMessage' and chat_id = $1 order by id`,
    [keyOf(chatId), keyOf(grace.userId)],
  );
  const before = rows.filter(({ isBefore }) => isBefore).map(({ seq }) => seq);
  expect(before.length).toBeGreaterThan(0);
  expect(before.length).toBeLessThan(rows.length);
  for (const frames of ended) {
    expect(frames.at(-2)?.data).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
    const seqs = frames
      .map(eventOf)
      .flatMap((event) => (event?.__typename === 'NewMessage' ? [event.message.seq] : []));
    expect(seqs).toEqual(before);
  }
  await unsuspendUser(ada, grace.userId);
});

test('a suspended user is told until when and why, but only with the right password, on every node', async () => {
  const phone = await signIn(server, grace);
  const until = inAnHour();
  expect(await suspendUser(marge, grace.userId, { until, reason: ' Be kind. ' })).toMatchObject({
    email: null,
    suspension: { until, reason: 'Be kind.' },
    user: { username: 'grace' },
  });
  for (const node of [server, other]) {
    expect(await trySignIn(node, grace, grace.password)).toMatchObject({
      __typename: 'Forbidden',
      until,
      reason: 'Be kind.',
    });
    expect((await trySignIn(node, grace, 'something else')).__typename).toBe('InvalidCredentials');
    await expect
      .poll(async () => (await node.post('{ viewer { id } }', {}, { token: phone.token })).errors)
      .toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
    const refresh = 'mutation ($token: String!) { refreshSession(refreshToken: $token) { __typename } }';
    expect(await node.ask(refresh, { token: phone.refreshToken })).toEqual({
      refreshSession: { __typename: 'InvalidCredentials' },
    });
  }

  expect(await unsuspendUser(marge, grace.userId)).toMatchObject({ __typename: 'AdminUser', suspension: null });
  expect((await trySignIn(other, grace, grace.password)).__typename).toBe('SignedIn');
});

test("a suspension ends by the database's clock, and then the user can sign in", async () => {
  await suspendUser(ada, grace.userId, { until: inAnHour() });
  expect((await trySignIn(server, grace, grace.password)).__typename).toBe('Forbidden');
  await server.sql.query(`update restrictions set until = now() - interval '1 second' where user_id = $1`, [
    keyOf(grace.userId),
  ]);
  expect((await trySignIn(server, grace, grace.password)).__typename).toBe('SignedIn');
  const document = 'query ($id: ID!) { admin { user(id: $id) { suspension { until } } } }';
  expect(await ada.ask(document, { id: grace.userId })).toEqual({ admin: { user: { suspension: null } } });
});

test('a suspension that is written with psql ends the sessions, and none can be opened, not even with psql', async () => {
  const phone = await signIn(server, grace);
  const stream = await followEvents(other, phone);
  const impose = `insert into restrictions (user_id, kind) values ($1, 'SUSPENSION')
    on conflict (chat_id, user_id, kind) do update set until = null`;
  await server.sql.query(impose, [keyOf(grace.userId)]);
  await stream.ended();
  expect(await countSessions(grace)).toBe(0);
  await expect(
    server.sql.query('insert into sessions (user_id) values ($1)', [keyOf(grace.userId)]),
  ).rejects.toMatchObject({ constraint: 'a_suspended_user_has_no_session' });
  const [entry] = await readAuditLog(ada, { targetId: grace.userId });
  expect(entry).toMatchObject({ action: 'SUSPEND_USER', actor: null, targetId: grace.userId });
  await unsuspendUser(ada, grace.userId);
});

describe('who may suspend which users:', () => {
  test('admins may suspend everyone but themselves', async () => {
    expect((await suspendUser(ada, marge.userId)).__typename).toBe('AdminUser');
    expect((await unsuspendUser(ada, marge.userId)).__typename).toBe('AdminUser');
    marge = await signIn(server, marge);
    expect(await suspendUser(ada, ada.userId)).toMatchObject({
      __typename: 'InvalidInput',
      fields: [{ path: ['userId'], code: 'NOT_ALLOWED' }],
    });
  });

  test('moderators may suspend users without a role, and no one else', async () => {
    expect((await suspendUser(marge, linus.userId)).__typename).toBe('AdminUser');
    expect((await unsuspendUser(marge, linus.userId)).__typename).toBe('AdminUser');
    linus = await signIn(server, linus);
    for (const change of [suspendUser, unsuspendUser]) {
      expect((await change(marge, ada.userId)).__typename).toBe('Forbidden');
    }
    await setRoleWithSql(server, linus, 'MODERATOR');
    expect((await suspendUser(marge, linus.userId)).__typename).toBe('Forbidden');
    await setRoleWithSql(server, linus, 'USER');
    const missing = Buffer.from(`User:${2n ** 62n}`).toString('base64url');
    expect((await suspendUser(marge, missing)).__typename).toBe('NotFound');
    expect((await unsuspendUser(marge, missing)).__typename).toBe('NotFound');
  });

  test('users may suspend no one, and do not learn who has an account', async () => {
    const missing = Buffer.from(`User:${2n ** 62n}`).toString('base64url');
    for (const userId of [grace.userId, ada.userId, marge.userId, missing]) {
      for (const change of [suspendUser, unsuspendUser]) {
        expect((await change(linus, userId)).__typename).toBe('Forbidden');
      }
    }
    const { errors } = await server.post('mutation { suspendUser(userId: "VXNlcjox") { __typename } }');
    expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  });

  test('an end in the past and a bad reason are refused', async () => {
    expect(
      await suspendUser(ada, grace.userId, { until: '2020-01-01T00:00:00Z', reason: 'x'.repeat(1_001) }),
    ).toMatchObject({ fields: [{ path: ['until'] }, { path: ['reason'] }] });
  });
});

describe('at the same time:', () => {
  test('two suspensions of one user are one, with one of the two reasons', async () => {
    const reasons = ['first', 'second'];
    const outcomes = await Promise.all([
      suspendUser(ada, grace.userId, { reason: reasons[0] }),
      suspendUser(onNode(other, marge), grace.userId, { reason: reasons[1] }),
    ]);
    expect(outcomes.map(({ __typename }) => __typename)).toEqual(['AdminUser', 'AdminUser']);
    const { rows } = await server.sql.query('select reason from restrictions where user_id = $1', [
      keyOf(grace.userId),
    ]);
    expect(rows).toHaveLength(1);
    expect(reasons).toContain(rows[0].reason);
    await unsuspendUser(ada, grace.userId);
  });

  test('sign-ins on two nodes during a suspension leave no session behind', async () => {
    for (let round = 0; round < 3; round += 1) {
      const [, ...signIns] = await Promise.all([
        suspendUser(ada, grace.userId),
        ...[server, other, server, other].map((node) => trySignIn(node, grace, grace.password)),
      ]);
      expect(await countSessions(grace)).toBe(0);
      for (const { __typename } of signIns) expect(['SignedIn', 'Forbidden']).toContain(__typename);
      await unsuspendUser(ada, grace.userId);
    }
  });

  test('a session that psql is opening ends too', async () => {
    const client = await server.sql.connect();
    await client.query('begin');
    await client.query('insert into sessions (user_id) values ($1)', [keyOf(grace.userId)]);
    const suspending = suspendUser(ada, grace.userId);
    await client.query('commit');
    client.release();
    expect((await suspending).__typename).toBe('AdminUser');
    expect(await countSessions(grace)).toBe(0);
    await unsuspendUser(ada, grace.userId);
  });
});

test('a transaction that does not see the suspension opens no session', async () => {
  const client = await server.sql.connect();
  await client.query('begin isolation level repeatable read');
  await client.query('select from users');
  await suspendUser(ada, grace.userId);
  const opening = client.query('insert into sessions (user_id) values ($1)', [keyOf(grace.userId)]);
  await expect(opening).rejects.toMatchObject({ code: '40001' });
  await client.query('rollback');
  client.release();
  expect(await countSessions(grace)).toBe(0);
  await unsuspendUser(ada, grace.userId);
});

test('a suspended user’s messages stay, and a moderator who is suspended can do nothing more', async () => {
  grace = await signIn(server, grace);
  const chatId = await createGroup(linus, [grace]);
  const id = await say(grace, chatId, 'still here');
  await suspendUser(ada, grace.userId);
  const document = 'query ($id: ID!) { node(id: $id) { ... on Message { content sender { username } } } }';
  expect(await linus.ask(document, { id })).toEqual({ node: { content: 'still here', sender: { username: 'grace' } } });
  await unsuspendUser(ada, grace.userId);

  // The request is authenticated before the suspension, and then waits for it.
  const client = await server.sql.connect();
  await client.query('begin');
  await client.query(`insert into restrictions (user_id, kind) values ($1, 'SUSPENSION')`, [keyOf(marge.userId)]);
  const late = suspendUser(marge, linus.userId);
  await expect
    .poll(async () => {
      const waiting = `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
      return (await server.sql.query(waiting)).rowCount;
    })
    .toBe(1);
  await client.query('commit');
  client.release();
  expect((await late).__typename).toBe('Forbidden');
});
