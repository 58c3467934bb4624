import { beforeAll, expect, test } from 'vitest';
import { createGroup, keyOf } from '../support/chat.ts';
import { signUp, type Data, type Person } from '../support/client.ts';
import { createInvite } from '../support/invite.ts';
import { mailSettings, startMailServer, type MailServer } from '../support/mail.ts';
import { startServer, type TestServer } from '../support/server.ts';

const password = 'the engine weaves';
let mail: MailServer;
/** A node on which anyone can sign up, so that there can be a first user. */
let open: TestServer;
/** Two nodes that accept sign-ups only by invite. The second node also requires that sign-ups be confirmed by email. */
let invited: TestServer;
let confirmed: TestServer;
let ada: Person;

beforeAll(async () => {
  mail = await startMailServer();
  open = await startServer();
  const { database } = open;
  invited = await startServer({ database, env: { SIGN_UP: 'invite' } });
  confirmed = await startServer({ database, env: mailSettings(mail, { SIGN_UP: 'invite', SIGN_UP_CONFIRM: 'on' }) });
  ada = await signUp(open, 'ada');
  await open.sql.query(`update users set server_role = 'ADMIN' where id = $1`, [keyOf(ada.userId)]);
});

const signUpDocument = `mutation ($input: SignUpInput!) {
  signUp(input: $input) {
    __typename
    ... on SignedIn { viewer { chats { edges { node { id } } } } }
    ... on Error { message }
  }
}`;
const trySignUp = async (server: TestServer, username: string, inviteCode: string | null = null): Promise<Data> => {
  const input = { username, email: `${username}@example.com`, password, inviteCode };
  return (await server.ask(signUpDocument, { input })).signUp;
};
const usesLeft = async (code: string) =>
  (await open.sql.query('select uses_left as count from invites where code = $1', [code])).rows[0]?.count;

test('without an invite, or with one that lets no one in, no one can sign up', async () => {
  expect(await trySignUp(invited, 'grace')).toEqual({
    __typename: 'Forbidden',
    message: 'This server takes new users by invite only.',
  });
  for (const code of ['', 'x', `piv_${'A'.repeat(43)}`]) {
    for (const server of [invited, confirmed, open]) {
      expect(await trySignUp(server, 'grace', code)).toEqual({
        __typename: 'Forbidden',
        message: 'The invite does not exist or is no longer valid.',
      });
    }
  }
  expect((await open.sql.query(`select from users where username = 'grace'`)).rowCount).toBe(0);
  expect((await invited.ask('{ api { features } }')).api.features).toContain('SIGN_UP_BY_INVITE');
  expect((await open.ask('{ api { features } }')).api.features).not.toContain('SIGN_UP_BY_INVITE');
});

test('an invite to the server lets in as many users as it says', async () => {
  const { code } = await createInvite(ada, { maxUses: 2 });
  expect(await trySignUp(invited, 'linus', code)).toMatchObject({ __typename: 'SignedIn' });
  // A sign-up with a name that is taken does not count as a use.
  expect(await trySignUp(invited, 'ada', code)).toMatchObject({ __typename: 'Conflict' });
  expect(await usesLeft(code)).toBe(1);
  expect(await trySignUp(invited, 'hedy', code)).toMatchObject({ __typename: 'SignedIn' });
  expect(await trySignUp(invited, 'radia', code)).toMatchObject({ __typename: 'Forbidden' });
});

test('an invite to a chat makes the new user a member of it, on an open server too', async () => {
  const chatId = await createGroup(ada, [await signUp(open, 'mary')]);
  const { code } = await createInvite(ada, { chatId });
  for (const [server, name] of [
    [invited, 'annie'],
    [open, 'joan'],
  ] as const) {
    const { viewer } = await trySignUp(server, name, code);
    expect(viewer.chats.edges).toEqual([{ node: { id: chatId } }]);
  }
});

test('of two users who take the last use at the same time on two nodes, one signs up', async () => {
  const { code } = await createInvite(ada, { maxUses: 1 });
  const answers = await Promise.all([trySignUp(invited, 'karen', code), trySignUp(open, 'evelyn', code)]);
  expect(answers.map(({ __typename }) => String(__typename)).toSorted()).toEqual(['Forbidden', 'SignedIn']);
  const { rowCount } = await open.sql.query(`select from users where username in ('karen', 'evelyn')`);
  expect(rowCount).toBe(1);
});

test('a sign-up that needs an email to confirm it uses the invite when it is confirmed', async () => {
  const { code } = await createInvite(ada, { maxUses: 1 });
  for (const name of ['barbara', 'frances']) {
    expect(await trySignUp(confirmed, name, code)).toEqual({ __typename: 'SignUpStarted' });
  }
  expect(await usesLeft(code)).toBe(1);
  const verify = async (email: string): Promise<Data> => {
    const { token } = await mail.mailTo(email);
    const document =
      'mutation ($token: String!) { verifyEmail(token: $token) { __typename ... on Error { message } } }';
    return (await confirmed.ask(document, { token })).verifyEmail;
  };
  expect(await verify('barbara@example.com')).toEqual({ __typename: 'EmailVerified' });
  expect(await usesLeft(code)).toBe(0);
  expect(await verify('frances@example.com')).toEqual({
    __typename: 'InvalidCredentials',
    message: 'The invite does not exist or is no longer valid.',
  });
  expect((await open.sql.query(`select from users where username = 'frances'`)).rowCount).toBe(0);
});
