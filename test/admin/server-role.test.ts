import { beforeAll, expect, test } from 'vitest';
import { keyOf } from '../support/chat.ts';
import { signUpAll, type Person } from '../support/client.ts';
import { onNode } from '../support/message.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { readAuditLog, setRoleWithSql, setServerRole } from '../support/staff.ts';
import { followEvents } from '../support/stream.ts';

let server: TestServer;
let other: TestServer;
let ada: Person;
let marge: Person;
let grace: Person;
beforeAll(async () => {
  server = await startServer();
  other = await startServer({ database: server.database });
  [ada, marge, grace] = await signUpAll(server, 'ada', 'marge', 'grace');
  await setRoleWithSql(server, ada, 'ADMIN');
  await setRoleWithSql(server, marge, 'MODERATOR');
});

const roleOf = async (person: Person) => (await person.ask('{ viewer { serverRole } }')).viewer.serverRole;

test('an admin gives and takes roles, and the change is in the audit log', async () => {
  expect(await roleOf(grace)).toBe('USER');
  expect(await setServerRole(ada, grace.userId, 'MODERATOR')).toMatchObject({
    __typename: 'AdminUser',
    serverRole: 'MODERATOR',
    user: { username: 'grace' },
  });
  expect(await roleOf(grace)).toBe('MODERATOR');
  const [entry] = await readAuditLog(ada, { targetId: grace.userId });
  expect(entry).toMatchObject({
    action: 'SET_SERVER_ROLE',
    actor: { username: 'ada' },
    targetId: grace.userId,
    detail: { role: 'MODERATOR' },
  });
  expect(await setServerRole(ada, grace.userId, 'USER')).toMatchObject({ serverRole: 'USER' });
});

test('no one raises themselves, and no one but an admin gives roles', async () => {
  for (const person of [grace, marge]) {
    for (const role of ['ADMIN', 'MODERATOR', 'USER']) {
      for (const { userId } of [grace, marge, ada]) {
        expect((await setServerRole(person, userId, role)).__typename).toBe('Forbidden');
      }
    }
  }
  expect([await roleOf(grace), await roleOf(marge), await roleOf(ada)]).toEqual(['USER', 'MODERATOR', 'ADMIN']);
  const missing = Buffer.from(`User:${2n ** 62n}`).toString('base64url');
  expect((await setServerRole(ada, missing, 'ADMIN')).__typename).toBe('NotFound');
});

test('the last admin keeps the role, in the API and with psql; a suspended admin does not count', async () => {
  expect(await setServerRole(ada, ada.userId, 'USER')).toMatchObject({
    __typename: 'Forbidden',
    message: 'The server needs an admin: make another user an admin first.',
  });
  await expect(setRoleWithSql(server, ada, 'USER')).rejects.toMatchObject({ constraint: 'the_server_keeps_an_admin' });
  await setServerRole(ada, marge.userId, 'ADMIN');
  await server.sql.query(`insert into restrictions (user_id, kind) values ($1, 'SUSPENSION')`, [keyOf(marge.userId)]);
  expect((await setServerRole(ada, ada.userId, 'USER')).__typename).toBe('Forbidden');
  await server.sql.query('delete from restrictions');
  expect((await setServerRole(ada, marge.userId, 'MODERATOR')).__typename).toBe('AdminUser');
});

test('of two admins who demote each other on two nodes at the same time, one remains', async () => {
  await setServerRole(ada, grace.userId, 'ADMIN');
  for (let round = 0; round < 3; round += 1) {
    const outcomes = await Promise.all([
      setServerRole(ada, grace.userId, 'USER'),
      setServerRole(onNode(other, grace), ada.userId, 'USER'),
    ]);
    const names: string[] = outcomes.map(({ __typename }) => __typename);
    expect(names.filter((name) => name === 'AdminUser')).toHaveLength(1);
    expect(names).toContain('Forbidden');
    const { rows } = await server.sql.query(`select id from users where server_role = 'ADMIN'`);
    expect(rows).toHaveLength(1);
    await server.sql.query(`update users set server_role = 'ADMIN' where id = any ($1)`, [
      [keyOf(ada.userId), keyOf(grace.userId)],
    ]);
  }
  // Demote them with psql, where nothing checks the role of the actor.
  const demote = `update users set server_role = 'USER' where id = $1`;
  const outcomes = await Promise.allSettled([
    server.sql.query(demote, [keyOf(ada.userId)]),
    server.sql.query(demote, [keyOf(grace.userId)]),
  ]);
  expect(outcomes.map(({ status }) => status)).toContain('rejected');
  expect((await server.sql.query(`select from users where server_role = 'ADMIN'`)).rowCount).toBeGreaterThan(0);
  await setRoleWithSql(server, ada, 'ADMIN');
  await setRoleWithSql(server, grace, 'USER');
});

test('a role is not part of the profile: no one receives an event for it', async () => {
  await using stream = await followEvents(server, grace);
  await setServerRole(ada, grace.userId, 'MODERATOR');
  await setServerRole(ada, grace.userId, 'USER');
  await grace.ask('mutation { createChat(input: { type: PRIVATE_CHANNEL, name: "mark" }) { __typename } }');
  expect(await stream.until('NewChat')).toHaveLength(1);
  const { errors } = await grace.post('query ($id: ID!) { node(id: $id) { ... on User { serverRole } } }', {
    id: ada.userId,
  });
  expect(errors?.[0]?.message).toContain('serverRole');
});
