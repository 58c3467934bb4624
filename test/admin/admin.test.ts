import { beforeAll, describe, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { createChat, createGroup, keyOf, say } from '../support/chat.ts';
import { asSuperuser } from '../support/database.ts';
import { signIn, signUpAll, type Data, type Person, type Variables } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { endSession, eraseUser, readAuditLog, setRoleWithSql, suspendUser, unsuspendUser } from '../support/staff.ts';
import { recordStatements } from '../support/statements.ts';
import { followEvents } from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let marge: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await startServer();
  [ada, marge, grace, linus] = await signUpAll(server, 'ada', 'marge', 'grace', 'linus');
  await setRoleWithSql(server, ada, 'ADMIN');
  await setRoleWithSql(server, marge, 'MODERATOR');
});

const overview = `query ($id: ID!) { admin {
  users { edges { node { id user { username } email serverRole sessions { id } } } }
  user(id: $id) { user { username } email suspension { until } sessions { id isCurrent } }
  chats { edges { node { id type name memberCount lastSeq } } }
  reports { edges { node { id } } }
  auditLog { edges { node { id } } }
} }`;

const usernames = (list: Data): string[] => list.edges.map(({ node }: Data) => node.user.username);

describe('what each role sees of `admin`:', () => {
  test('an admin sees everything', async () => {
    const { admin } = await ada.ask(overview, { id: grace.userId });
    expect(usernames(admin.users)).toEqual(['linus', 'grace', 'marge', 'ada'].toSorted(byAge));
    expect(admin.user).toMatchObject({ user: { username: 'grace' }, email: 'grace@example.com', suspension: null });
    expect(admin.user.sessions).toMatchObject([{ isCurrent: false }]);
    expect([admin.chats, admin.reports, admin.auditLog]).not.toContain(null);
  });

  test('a moderator sees reports, and users without address and sessions', async () => {
    const { admin } = await marge.ask(overview, { id: grace.userId });
    expect(usernames(admin.users)).toHaveLength(4);
    for (const { node } of admin.users.edges) expect(node).toMatchObject({ email: null, sessions: null });
    expect(admin.user).toMatchObject({ user: { username: 'grace' }, email: null, sessions: null });
    expect(admin).toMatchObject({ chats: null, auditLog: null });
    expect(admin.reports).not.toBeNull();
    const byAddress = 'query ($search: String!) { admin { users(search: $search) { edges { node { id } } } } }';
    expect((await marge.ask(byAddress, { search: 'grace@example.com' })).admin.users.edges).toEqual([]);
    expect((await ada.ask(byAddress, { search: 'GRACE@example.com' })).admin.users.edges).toHaveLength(1);
  });

  test('a user sees nothing, and neither does a stranger', async () => {
    expect(await grace.ask(overview, { id: ada.userId })).toEqual({ admin: null });
    expect(await server.ask(overview, { id: ada.userId })).toEqual({ admin: null });
  });

  /** Orders users from the newest to the oldest. */
  function byAge(one: string, another: string): number {
    const idOf = (name: string) =>
      BigInt(keyOf([ada, marge, grace, linus].find((person) => person.name === name)?.userId ?? ''));
    return Number(idOf(another) - idOf(one));
  }
});

test('`node` leaks nothing of what only staff see', async () => {
  const chatId = await createGroup(grace, [linus], 'between us');
  const { rows } = await server.sql.query(
    `with session as (select id from sessions where user_id = $1)
    select (select min(id) from session) as session, max(id) as entry from audit_entries`,
    [keyOf(grace.userId)],
  );
  const ids = {
    user: encodeId('AdminUser', keyOf(grace.userId)),
    chat: encodeId('AdminChat', keyOf(chatId)),
    entry: encodeId('AuditEntry', String(rows[0].entry)),
    session: encodeId('Session', String(rows[0].session)),
    message: await say(grace, chatId, 'secret'),
    hidden: chatId,
  };
  const document = `query ($ids: [ID!]!) { nodes(ids: $ids) {
    __typename ... on AdminUser { email sessions { id } } ... on AdminChat { name } ... on AuditEntry { action }
  } }`;
  const seenBy = async (person: Person): Promise<Data[]> =>
    (await person.ask(document, { ids: Object.values(ids) })).nodes;
  expect(await seenBy(ada)).toMatchObject([
    { __typename: 'AdminUser', email: 'grace@example.com' },
    { __typename: 'AdminChat', name: 'between us' },
    { __typename: 'AuditEntry' },
    null,
    null,
    null,
  ]);
  expect(await seenBy(marge)).toMatchObject([{ email: null, sessions: null }, null, null, null, null, null]);
  expect(await seenBy(linus)).toMatchObject([
    null,
    null,
    null,
    null,
    { __typename: 'Message' },
    { __typename: 'Chat' },
  ]);
  expect((await server.ask(document, { ids: Object.values(ids) })).nodes).toEqual(Array(6).fill(null));
});

describe('lists', () => {
  const page = (list: string) => `query (
    $search: String, $first: Int, $after: String, $last: Int, $before: String
  ) { admin { ${list}(search: $search, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  } } }`;

  async function idsOf(list: string, variables: Variables): Promise<string[]> {
    const found = (await ada.ask(page(list), variables)).admin[list];
    return found.edges.map(({ node }: Data) => node.id);
  }

  test.each(['users', 'chats'])('%s are read page by page in both directions, newest first', async (list) => {
    if (list === 'chats') for (let index = 0; index < 4; index += 1) await createGroup(ada, [linus], `paged ${index}`);
    const all = await idsOf(list, { first: 100 });
    expect(all.length).toBeGreaterThan(3);
    const forward: string[] = [];
    for (let after: string | null = null; ;) {
      const { edges, pageInfo }: Data = (await ada.ask(page(list), { first: 2, after })).admin[list];
      forward.push(...edges.map(({ node }: Data) => node.id));
      if (!pageInfo.hasNextPage) break;
      after = pageInfo.endCursor;
    }
    expect(forward).toEqual(all);
    const { startCursor } = (await ada.ask(page(list), { last: 1 })).admin[list].pageInfo;
    expect(await idsOf(list, { last: 2, before: startCursor })).toEqual(all.slice(-3, -1));
    const wrong = await ada.post(page(list), { first: 101 });
    expect(wrong.errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  });

  test('users are found by the beginning of a name, ignoring case, and by their suspension', async () => {
    await grace.ask('mutation { updateProfile(input: { displayName: "Émile" }) { __typename } }');
    await suspendUser(ada, linus.userId);
    const find = async (search: string | null, isSuspended: boolean | null) => {
      const document = `query ($search: String, $isSuspended: Boolean) {
        admin { users(search: $search, isSuspended: $isSuspended) { edges { node { user { username } } } } }
      }`;
      return usernames((await marge.ask(document, { search, isSuspended })).admin.users);
    };
    expect(await find('éMI', null)).toEqual(['grace']);
    expect(await find('GRA', null)).toEqual(['grace']);
    expect(await find('race', null)).toEqual([]);
    expect(await find(null, true)).toEqual(['linus']);
    expect(await find('g', true)).toEqual([]);
    expect(await find(null, false)).not.toContain('linus');
    await unsuspendUser(ada, linus.userId);
    linus = await signIn(server, linus);
    const { errors } = await marge.post('{ admin { users(search: "") { edges { cursor } } } }');
    expect(errors).toMatchObject([{ message: expect.stringContaining('search'), extensions: { code: 'BAD_REQUEST' } }]);
    const tooLong = await marge.post(`{ admin { users(search: "${'x'.repeat(255)}") { edges { cursor } } } }`);
    expect(tooLong.errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  });

  test('chats are found by the beginning of their name, with their metadata, whether or not the admin is in them', async () => {
    const { id } = await createChat(grace, { type: 'PRIVATE_CHANNEL', name: 'Élan vital' });
    await say(grace, id, 'not for admins');
    const document = `{ admin { chats(search: "éLAN") { edges { node { id type name memberCount lastSeq createdAt } } } } }`;
    expect((await ada.ask(document)).admin.chats.edges).toMatchObject([
      { node: { id: encodeId('AdminChat', keyOf(id)), type: 'PRIVATE_CHANNEL', memberCount: 1, lastSeq: 1 } },
    ]);
    expect((await ada.ask('query ($id: ID!) { chat(id: $id) { name } }', { id })).chat).toBeNull();
  });

  test('fifty users, chats and entries cost the same number of statements as one', async () => {
    await server.sql.query(
      `insert into users (username, email, server_role)
      select name, name || '@example.com', 'MODERATOR' from (select 'p' || generate_series(1, 50) as name) names`,
    );
    await server.sql.query(`insert into sessions (user_id) select id from users where username ~ '^p\\d+$'`);
    await server.sql.query(`insert into chats (type, name) select 'GROUP', 'c' || generate_series(1, 50)`);
    const document = `query ($first: Int!) { admin {
      users(first: $first) { edges { node { email serverRole suspension { until } sessions { id } user { username } } } }
      chats(first: $first) { edges { node { name memberCount } } }
      auditLog(first: $first) { edges { node { action targetId detail actor { username } } } }
    } }`;
    const shown = await ada.ask(document, { first: 50 });
    expect(shown.admin.auditLog.edges).toHaveLength(50);
    const count = async (first: number) => (await recordStatements(server, () => ada.ask(document, { first }))).length;
    expect(await count(50)).toBe(await count(1));
  });
});

describe('sessions', () => {
  const sessionOf = async (person: Person): Promise<string> => {
    const { viewer } = await person.ask('{ viewer { sessions { id isCurrent } } }');
    return viewer.sessions.find(({ isCurrent }: Data) => isCurrent).id;
  };

  test('an admin ends a session of another user with its streams, and the audit log says so', async () => {
    const phone = await signIn(server, grace);
    const stream = await followEvents(server, phone);
    const sessionId = await sessionOf(phone);
    expect(await endSession(ada, sessionId)).toEqual({ __typename: 'Session', id: sessionId });
    const frames = await stream.ended();
    expect(frames.at(-2)?.data).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
    expect(await endSession(ada, sessionId)).toMatchObject({ __typename: 'NotFound' });
    const [entry] = await readAuditLog(ada, { targetId: grace.userId });
    expect(entry).toMatchObject({ action: 'END_SESSION', actor: { username: 'ada' }, detail: { session: sessionId } });
    expect((await grace.ask('{ viewer { id } }')).viewer).not.toBeNull();
  });

  test('no one else ends the sessions of others', async () => {
    const sessionId = await sessionOf(grace);
    for (const person of [marge, linus]) expect((await endSession(person, sessionId)).__typename).toBe('Forbidden');
    expect(await sessionOf(grace)).toBe(sessionId);
  });

  test('the audit log records the sessions that psql ends, but not those that users and the server end', async () => {
    const entriesOf = async () =>
      (await readAuditLog(ada, { targetId: linus.userId })).filter(({ action }) => action === 'END_SESSION');
    expect(await entriesOf()).toEqual([]);
    const phone = await signIn(server, linus);
    await phone.ask('mutation { signOut }');
    const laptop = await signIn(server, linus);
    await linus.ask('mutation ($id: ID!) { revokeSession(sessionId: $id) { __typename } }', {
      id: await sessionOf(laptop),
    });
    expect(await entriesOf()).toEqual([]);
    const tablet = await signIn(server, linus);
    await server.sql.query('delete from sessions where id = $1', [keyOf(await sessionOf(tablet))]);
    expect(await entriesOf()).toMatchObject([{ actor: null, targetId: linus.userId }]);
  });
});

test('an entry says that another role of the database wrote it, even if it claims to be another user', async () => {
  const role = `operator_${server.database.url.split('/').at(-1)}`;
  await asSuperuser(server.database, (client) => client.query(`create role "${role}" superuser`));
  try {
    const change = `begin; set local session authorization "${role}";
      set local parley.actor = '${keyOf(ada.userId)}';
      update users set server_role = 'MODERATOR' where id = ${keyOf(grace.userId)}; commit`;
    await asSuperuser(server.database, (client) => client.query(change));
    await setRoleWithSql(server, grace, 'USER');
  } finally {
    await asSuperuser(server.database, (client) => client.query(`drop role "${role}"`));
  }
  const entries = await readAuditLog(ada, { targetId: grace.userId, first: 2 });
  expect(entries).toMatchObject([
    { action: 'SET_SERVER_ROLE', actor: null, detail: { role: 'USER' } },
    { action: 'SET_SERVER_ROLE', actor: { username: 'ada' }, detail: { role: 'MODERATOR', source: 'DATABASE' } },
  ]);
  expect(entries[0].detail).not.toHaveProperty('source');
});

describe('erasure', () => {
  test('an admin erases a user, who is gone with their role, and the entry names no one else', async () => {
    const [peggy] = await signUpAll(server, 'peggy');
    await setRoleWithSql(server, peggy, 'MODERATOR');
    const chatId = await createGroup(grace, [peggy]);
    const id = await say(peggy, chatId, 'to be deleted');
    expect(await eraseUser(ada, peggy.userId, 'DELETE')).toEqual({ __typename: 'AccountGone', userId: peggy.userId });
    const { errors } = await peggy.post('{ viewer { email } }');
    expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
    const document = 'query ($id: ID!) { node(id: $id) { ... on Message { content } } }';
    await expect.poll(async () => (await grace.ask(document, { id })).node).toEqual({ content: null });
    const entries = await readAuditLog(ada, { targetId: peggy.userId, first: 1 });
    expect(entries).toMatchObject([
      { action: 'ERASE_USER', actor: { username: 'ada' }, detail: { messages: 'DELETE' } },
    ]);
    await expect
      .poll(async () => (await server.sql.query('select from users where id = $1', [keyOf(peggy.userId)])).rowCount)
      .toBe(0);
    expect((await eraseUser(ada, peggy.userId)).__typename).toBe('NotFound');
  });

  test('no one else erases others, and an admin cannot erase their own account', async () => {
    for (const person of [marge, linus]) expect((await eraseUser(person, grace.userId)).__typename).toBe('Forbidden');
    expect(await eraseUser(ada, ada.userId)).toMatchObject({ __typename: 'Forbidden' });
    expect((await grace.ask('{ viewer { id } }')).viewer).not.toBeNull();
  });

  test('users who delete their own account leave no entry, but psql does', async () => {
    const [olga, piet] = await signUpAll(server, 'olga', 'piet');
    await olga.ask(`mutation ($password: String!) { deleteAccount(password: $password) { __typename } }`, {
      password: olga.password,
    });
    await server.sql.query('delete from users where id = $1', [keyOf(piet.userId)]);
    expect(await readAuditLog(ada, { targetId: olga.userId })).toEqual([]);
    expect(await readAuditLog(ada, { targetId: piet.userId })).toMatchObject([{ action: 'ERASE_USER', actor: null }]);
  });
});

describe('the audit log', () => {
  test('is filtered by who acted and by what was acted on, and read page by page', async () => {
    await suspendUser(marge, grace.userId, { reason: 'a text that stays out of the log' });
    await unsuspendUser(marge, grace.userId);
    grace = await signIn(server, grace);
    const byMarge = await readAuditLog(ada, { actorId: marge.userId, targetId: grace.userId });
    expect(byMarge.map(({ action }) => action).slice(0, 2)).toEqual(['UNSUSPEND_USER', 'SUSPEND_USER']);
    expect(JSON.stringify(byMarge)).not.toContain('a text');
    expect(await readAuditLog(ada, { actorId: grace.userId })).toEqual([]);
    const document = `query ($after: String) { admin { auditLog(first: 2, after: $after) {
      edges { node { id createdAt } } pageInfo { endCursor hasNextPage }
    } } }`;
    const times: string[] = [];
    for (let after: string | null = null; ;) {
      const { edges, pageInfo }: Data = (await ada.ask(document, { after })).admin.auditLog;
      times.push(...edges.map(({ node }: Data) => node.createdAt));
      if (!pageInfo.hasNextPage || times.length > 20) break;
      after = pageInfo.endCursor;
    }
    expect(times).toEqual(times.toSorted().toReversed());
    const { errors } = await ada.post('{ admin { auditLog(targetId: "x") { edges { cursor } } } }');
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  });
});
