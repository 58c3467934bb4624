import { beforeAll, expect, test } from 'vitest';
import { pruneSignUps } from '../../src/account/pending-sign-up.ts';
import { pruneCodes } from '../../src/mail/mail-code.ts';
import type { Data } from '../support/client.ts';
import { expectSent, mailSettings, startMailServer, type MailServer } from '../support/mail.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { recordStatements } from '../support/statements.ts';

const password = 'the engine weaves';
let mail: MailServer;
let server: TestServer;

beforeAll(async () => {
  mail = await startMailServer();
  server = await startServer({ env: mailSettings(mail, { SIGN_UP_CONFIRM: '' }) });
});

const signUpDocument = `mutation ($input: SignUpInput!) {
  signUp(input: $input) {
    __typename
    ... on SignUpStarted { email }
    ... on Error { message }
    ... on InvalidInput { fields { path } }
  }
}`;
const trySignUp = async (username: string, email: string, more: object = {}): Promise<Data> =>
  (await server.ask(signUpDocument, { input: { username, email, password, ...more } })).signUp;
const verify = async (token: string): Promise<Data> =>
  (
    await server.ask(
      `mutation ($token: String!) {
        verifyEmail(token: $token) { __typename ... on EmailVerified { email } ... on Error { message } }
      }`,
      { token },
    )
  ).verifyEmail;
const signIn = async (email: string, given = password): Promise<Data> =>
  (
    await server.ask(
      `mutation ($input: SignInInput!) {
        signIn(input: $input) {
          __typename
          ... on SignedIn { viewer { email isEmailVerified user { username displayName } } }
        }
      }`,
      { input: { email, password: given } },
    )
  ).signIn;

/** Creates an account and returns its email address. */
async function join(username: string, email = `${username}@example.com`): Promise<string> {
  expect(await trySignUp(username, email)).toEqual({ __typename: 'SignUpStarted', email });
  expect(await verify((await mail.mailTo(email)).token)).toEqual({ __typename: 'EmailVerified', email });
  return email;
}

test('the account begins with the code of the email, with a verified address and without a session', async () => {
  const email = 'Ada@example.com';
  const started = await trySignUp('ada', email, { displayName: 'Ada Lovelace' });
  expect(started).toEqual({ __typename: 'SignUpStarted', email });
  const received = await mail.mailTo(email);
  expect(received.subject).toBe('Confirm your email address for chat.example.com');
  expect(received.text).toContain(`https://chat.example.com/verify-email#token=${received.token}`);
  expect(received.html).toContain(`<a href="https://chat.example.com/verify-email#token=${received.token}">`);
  // The name may have been chosen by a stranger, so the email does not contain it.
  expect(received.text + received.html).not.toContain('Lovelace');
  expect(await signIn(email)).toEqual({ __typename: 'InvalidCredentials' });
  expect(await verify(received.token)).toEqual({ __typename: 'EmailVerified', email });
  const { rows } = await server.sql.query('select from sessions');
  expect(rows).toEqual([]);
  expect(await signIn(email)).toMatchObject({
    viewer: { email, isEmailVerified: true, user: { username: 'ada', displayName: 'Ada Lovelace' } },
  });
  expect(await verify(received.token)).toMatchObject({ __typename: 'InvalidCredentials' });
});

test('an address with an account gets the same answer, and its owner receives an email that says so', async () => {
  const email = await join('grace');
  expect(await trySignUp('someone', 'GRACE@example.com')).toEqual({
    __typename: 'SignUpStarted',
    email: 'GRACE@example.com',
  });
  const received = await mail.mailTo(email);
  expect(received).toMatchObject({ subject: 'Someone tried to sign up with your email address', token: '' });
  await expectSent(server);
  expect(mail.mails.filter(({ to }) => to === 'GRACE@example.com')).toEqual([]);
});

test('a sign-up runs the same statements for an address with an account and for one without', async () => {
  const email = await join('linus');
  const known = await recordStatements(server, () => trySignUp('someone', email));
  const unknown = await recordStatements(server, () => trySignUp('someone', 'no.one@example.com'));
  expect(known.length).toBeGreaterThan(0);
  expect(unknown).toEqual(known);
});

test('of two sign-ups with one address, the first to be confirmed gets the account', async () => {
  const email = 'hedy@example.com';
  await trySignUp('hedy', email);
  await trySignUp('lamarr', email, { password: 'another engine weaves' });
  const [first, second] = [await mail.mailTo(email), await mail.mailTo(email)];
  const answers = await Promise.all([verify(first.token), verify(second.token)]);
  expect(answers.map(({ __typename }) => String(__typename)).toSorted()).toEqual([
    'EmailVerified',
    'InvalidCredentials',
  ]);
  expect(answers.find(({ __typename }) => __typename === 'InvalidCredentials').message).toBe(
    'The address already has an account.',
  );
  const { rows } = await server.sql.query('select from users where email = $1', [email]);
  expect(rows).toHaveLength(1);
});

test('a username that was taken in the meantime gets a number', async () => {
  await trySignUp('radia', 'radia@example.org');
  const { token } = await mail.mailTo('radia@example.org');
  await join('Radia');
  expect(await verify(token)).toMatchObject({ __typename: 'EmailVerified' });
  const { viewer } = await signIn('radia@example.org');
  expect(viewer.user.username).toMatch(/^radia\d+$/);
  const long = 'x'.repeat(64);
  await join(long, 'long@example.com');
  await join(long, 'longer@example.com');
  expect((await signIn('longer@example.com')).viewer.user.username).toMatch(/^x{54}\d+$/);
});

test('a sign-up with an invalid field is refused, and sends nothing', async () => {
  expect(await trySignUp('a b', 'no.one@example.com')).toMatchObject({
    __typename: 'InvalidInput',
    fields: [{ path: ['username'] }],
  });
  await expectSent(server);
  expect(mail.mails.filter(({ subject, to }) => to === 'no.one@example.com' && subject.startsWith('x'))).toEqual([]);
});

test('a sign-up that is not confirmed within an hour is deleted, and its code is no longer valid', async () => {
  await trySignUp('annie', 'annie@example.com');
  const { token } = await mail.mailTo('annie@example.com');
  await expectSent(server);
  const count = async () => (await server.sql.query(`select from pending_sign_ups where username = 'annie'`)).rowCount;
  await pruneSignUps(server.sql, 100);
  expect(await count()).toBe(1);
  await server.sql.query(
    `update mail_codes set created_at = created_at - interval '61 minutes'
    where sign_up_id = (select id from pending_sign_ups where username = 'annie')`,
  );
  expect(await verify(token)).toMatchObject({ __typename: 'InvalidCredentials' });
  expect(await pruneCodes(server.sql, 100)).toBe(1);
  await pruneSignUps(server.sql, 100);
  expect(await count()).toBe(0);
});

test('a server can be closed to new users', async () => {
  await using closed = await startServer({ env: { SIGN_UP: 'closed' } });
  const input = { username: 'ada', email: 'ada@example.com', password };
  expect(await closed.ask(signUpDocument, { input })).toEqual({
    signUp: { __typename: 'Forbidden', message: 'Sign-up is closed on this server.' },
  });
  expect((await closed.ask('{ api { features } }')).api.features).not.toContain('SIGN_UP');
});

test('the features say what the server offers', async () => {
  const { api } = await server.ask('{ api { version level features } }');
  expect(api).toEqual({
    version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    level: expect.any(Number),
    features: expect.arrayContaining(['FILES', 'MAIL', 'PRESENCE', 'SEARCH', 'SIGN_UP', 'SIGN_UP_CONFIRM', 'TYPING']),
  });
  await using silent = await startServer();
  const { features } = (await silent.ask('{ api { features } }')).api;
  expect(features).toContain('SIGN_UP');
  expect(features).not.toContain('MAIL');
  expect(features).not.toContain('SIGN_UP_CONFIRM');
});
