import { expect, test } from 'vitest';
import { signUp } from '../support/client.ts';
import { startServer } from '../support/server.ts';

const server = await startServer();

test('a server error is logged in full and reported as INTERNAL, without internals', async () => {
  const ada = await signUp(server, 'ada');
  expect(await ada.ask('{ viewer { user { username } } }')).toEqual({ viewer: { user: { username: 'ada' } } });

  await server.sql.query('alter table users rename to people');
  const answer = await ada.post('{ viewer { user { username } } }');
  await server.sql.query('alter table people rename to users');

  expect(answer.status).toBe(200);
  expect(answer.data).toEqual({ viewer: null });
  expect(answer.errors).toEqual([
    {
      message: 'Internal server error.',
      path: ['viewer', 'user'],
      locations: [{ line: 1, column: 12 }],
      extensions: { code: 'INTERNAL' },
    },
  ]);
  expect(JSON.stringify(answer)).not.toMatch(/people|relation|42P01|\.ts/);

  const lines = server.log.filter(({ msg }) => msg === 'an operation failed');
  expect(lines).toHaveLength(1);
  expect(JSON.stringify(lines[0])).toMatch(/42P01/);
  expect(JSON.stringify(lines[0])).toMatch(/relation \\+"users\\+" does not exist/);
  expect(JSON.stringify(lines[0])).toMatch(/"stack":".*\.ts/);
});

test('a server error does not put user input into the log', async () => {
  // When a check constraint refuses a row, PostgreSQL quotes the whole row.
  await server.sql.query("alter table users add constraint no_grace check (username <> 'grace')");
  const password = 'found the first real bug';
  const answer = await server.post(
    `mutation ($input: SignUpInput!) { signUp(input: $input) { __typename } literal: signUp(
      input: { username: "grace", email: "literal@example.com", password: "a secret in the document" }) { __typename } }`,
    { input: { username: 'grace', email: 'grace@example.com', password } },
  );
  expect(answer.errors?.map(({ extensions }) => extensions?.['code'])).toEqual(['INTERNAL']);
  expect(answer.data).toBe(null);

  const log = JSON.stringify(server.log);
  expect(log).toContain('no_grace');
  expect(log).not.toContain('example.com');
  expect(log).not.toContain(password);
  expect(log).not.toContain('a secret in the document');
  expect(log).not.toContain('argon2');
});

test('a violated foreign key is a server error, unless it is the one that is expected to fail', async () => {
  const [ada, grace] = [await signUp(server, 'countess'), await signUp(server, 'admiral')];
  await server.sql.query(`create table known (id bigint primary key);
    alter table blocks add constraint blocks_blocked_id_known_fkey foreign key (blocked_id) references known`);
  const block = () => ada.post('mutation ($id: ID!) { blockUser(userId: $id) { __typename } }', { id: grace.userId });
  const answer = await block();
  await server.sql.query('alter table blocks drop constraint blocks_blocked_id_known_fkey');

  expect(answer.errors).toMatchObject([{ message: 'Internal server error.', extensions: { code: 'INTERNAL' } }]);
  const line = server.log.find((entry) => JSON.stringify(entry).includes('blocks_blocked_id_known_fkey'));
  expect(line).toMatchObject({ msg: 'an operation failed', fault: { code: '23503', table: 'blocks' } });
  expect((await block()).data).toEqual({ blockUser: { __typename: 'User' } });
});

test('a request that fails before anything runs is a 500', async () => {
  const ada = await signUp(server, 'linus');
  await server.sql.query('alter table sessions rename to logins');
  // For half a second, this node relies on its cached session.
  await expect.poll(async () => (await ada.post('{ __typename }')).status).toBe(500);
  const answer = await ada.post('{ __typename }');
  await server.sql.query('alter table logins rename to sessions');
  expect(answer.data).toBe(undefined);
  expect(answer.errors).toEqual([{ message: 'Internal server error.', extensions: { code: 'INTERNAL' } }]);
  expect((await ada.post('{ __typename }')).status).toBe(200);
});
