import { beforeAll, expect, test } from 'vitest';
import { keyOf } from '../support/chat.ts';
import { signUp, type Data, type Person } from '../support/client.ts';
import { expectSent, mailSettings, startMailServer, type MailServer } from '../support/mail.ts';
import { startServer, type TestServer } from '../support/server.ts';

let mail: MailServer;
let server: TestServer;

beforeAll(async () => {
  mail = await startMailServer();
  server = await startServer({ env: mailSettings(mail) });
});

const verify = async (token: string): Promise<Data> =>
  (
    await server.ask(
      `mutation ($token: String!) {
        verifyEmail(token: $token) { __typename ... on EmailVerified { email } ... on Error { message } }
      }`,
      { token },
    )
  ).verifyEmail;
const requestVerification = async (by: Person): Promise<boolean> =>
  (await by.ask('mutation { requestEmailVerification }')).requestEmailVerification;
const changeEmail = async (by: Person, email: string, currentPassword: string | null = by.password): Promise<Data> =>
  (
    await by.ask(
      `mutation ($input: ChangeEmailInput!) {
        changeEmail(input: $input) {
          __typename
          ... on Viewer { email isEmailVerified }
          ... on Error { message }
          ... on InvalidInput { fields { path code } }
        }
      }`,
      { input: { email, currentPassword } },
    )
  ).changeEmail;
const addressOf = async (person: Person): Promise<Data> =>
  (await person.ask('{ viewer { email isEmailVerified } }')).viewer;

test('a new user receives an email, and its code verifies the address', async () => {
  const ada = await signUp(server, 'ada');
  const received = await mail.mailTo(ada.email);
  expect(received.subject).toBe('Verify your email address for chat.example.com');
  expect(received.text).toContain(`https://chat.example.com/verify-email#token=${received.token}`);
  expect(await addressOf(ada)).toEqual({ email: ada.email, isEmailVerified: false });
  expect(await verify(received.token)).toEqual({ __typename: 'EmailVerified', email: ada.email });
  expect(await addressOf(ada)).toEqual({ email: ada.email, isEmailVerified: true });
  expect(await verify(received.token)).toEqual({
    __typename: 'InvalidCredentials',
    message: 'The code is not valid: request a new one.',
  });
});

test('another email can be requested until the address is verified', async () => {
  const grace = await signUp(server, 'grace');
  const first = await mail.mailTo(grace.email);
  expect(await requestVerification(grace)).toBe(true);
  const second = await mail.mailTo(grace.email);
  expect(second.token).not.toBe(first.token);
  expect(await verify(first.token)).toMatchObject({ __typename: 'EmailVerified' });
  expect(await verify(second.token)).toMatchObject({ __typename: 'InvalidCredentials' });
  expect(await requestVerification(grace)).toBe(false);
  const { errors } = await server.post('mutation { requestEmailVerification }');
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});

test('the code is valid for an hour', async () => {
  const linus = await signUp(server, 'linus');
  const { token } = await mail.mailTo(linus.email);
  await server.sql.query(`update mail_codes set created_at = created_at - interval '61 minutes' where user_id = $1`, [
    keyOf(linus.userId),
  ]);
  expect(await verify(token)).toMatchObject({ __typename: 'InvalidCredentials' });
});

test('an address changes when its own code is used, and the earlier address receives a notice', async () => {
  const radia = await signUp(server, 'radia');
  const { token: earlier } = await mail.mailTo(radia.email);
  expect(await changeEmail(radia, 'radia@example.org')).toEqual({
    __typename: 'Viewer',
    email: radia.email,
    isEmailVerified: false,
  });
  const notice = await mail.mailTo(radia.email);
  expect(notice.subject).toBe('Your email address for chat.example.com is about to change');
  expect(notice.token).toBe('');
  const { subject, token } = await mail.mailTo('radia@example.org');
  expect(subject).toBe('Confirm your new email address for chat.example.com');
  expect(await verify(token)).toEqual({ __typename: 'EmailVerified', email: 'radia@example.org' });
  expect(await addressOf(radia)).toEqual({ email: 'radia@example.org', isEmailVerified: true });
  // This code would verify an address that the account no longer has.
  expect(await verify(earlier)).toMatchObject({ __typename: 'InvalidCredentials' });
});

test('a change of address needs the password and something that can be an address', async () => {
  const hedy = await signUp(server, 'hedy');
  expect(await changeEmail(hedy, 'hedy@example.org', 'not her password')).toEqual({
    __typename: 'InvalidCredentials',
    message: 'The password is wrong.',
  });
  expect(await changeEmail(hedy, 'nowhere', null)).toMatchObject({
    __typename: 'InvalidInput',
    fields: [
      { path: ['email'], code: 'MALFORMED' },
      { path: ['currentPassword'], code: 'REQUIRED' },
    ],
  });
  await mail.mailTo(hedy.email);
  await expectSent(server);
  expect(mail.mails.filter(({ to }) => to === 'hedy@example.org')).toEqual([]);
});

test('a second change replaces the first, and a new password cancels both', async () => {
  const joan = await signUp(server, 'joan');
  await changeEmail(joan, 'joan@example.org');
  const first = await mail.mailTo('joan@example.org');
  await changeEmail(joan, 'joan@example.net');
  const second = await mail.mailTo('joan@example.net');
  expect(await verify(first.token)).toMatchObject({ __typename: 'InvalidCredentials' });
  await joan.ask('mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { __typename } }', {
    input: { currentPassword: joan.password, newPassword: 'the engine weaves' },
  });
  expect(await verify(second.token)).toMatchObject({ __typename: 'InvalidCredentials' });
});

test('changing to the address of another account gets the same answer, and its owner receives an email', async () => {
  const [annie, barbara] = [await signUp(server, 'annie'), await signUp(server, 'barbara')];
  await Promise.all([mail.mailTo(annie.email), mail.mailTo(barbara.email)]);
  expect(await changeEmail(annie, 'BARBARA@example.com')).toEqual(await changeEmail(annie, 'annie@example.org'));
  const received = await mail.mailTo(barbara.email);
  expect(received).toMatchObject({ subject: 'Someone tried to sign up with your email address', token: '' });
});

test('an address does not change to one that was taken in the meantime', async () => {
  const karen = await signUp(server, 'karen');
  await changeEmail(karen, 'evelyn@example.com');
  const { token } = await mail.mailTo('evelyn@example.com');
  const evelyn = await signUp(server, 'evelyn');
  expect(await verify(token)).toEqual({
    __typename: 'InvalidCredentials',
    message: 'The address already has an account.',
  });
  expect(await addressOf(karen)).toEqual({ email: karen.email, isEmailVerified: false });
  expect((await addressOf(evelyn)).email).toBe('evelyn@example.com');
});

test('an address that is changed with psql is no longer verified', async () => {
  const frances = await signUp(server, 'frances');
  await verify((await mail.mailTo(frances.email)).token);
  await server.sql.query(`update users set email = 'frances@example.org' where id = $1`, [keyOf(frances.userId)]);
  expect(await addressOf(frances)).toEqual({ email: 'frances@example.org', isEmailVerified: false });
});

test('a verified user receives an email about a sign-in from another device, which does not quote the device', async () => {
  const jean = await signUp(server, 'jean');
  await verify((await mail.mailTo(jean.email)).token);
  const signInFrom = (userAgent: string) =>
    server.post(
      'mutation ($input: SignInInput!) { signIn(input: $input) { __typename } }',
      { input: { email: jean.email, password: jean.password } },
      { headers: { 'user-agent': userAgent } },
    );
  const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 <b>http://evil.example</b>';
  await signInFrom(firefox);
  const received = await mail.mailTo(jean.email);
  expect(received.subject).toBe('New sign-in to your account at chat.example.com');
  expect(received.text).toContain('Device: Firefox on Linux\n');
  expect(received.text).toMatch(/Time: \d{4}-\d\d-\d\d \d\d:\d\d UTC/);
  expect(received.text + received.html).not.toContain('evil');
  // First the same browser after an update, and then another program.
  await signInFrom(firefox.replaceAll('140', '141'));
  await signInFrom('chat-script');
  await expectSent(server);
  const later = mail.mails.filter(({ to, subject }) => to === jean.email && subject.startsWith('New sign-in'));
  expect(later.map(({ text }) => /Device: (.*)/.exec(text)?.[1])).toEqual(['Firefox on Linux', 'an unknown device']);
});

test('no email about a sign-in goes to an address that is not verified', async () => {
  const mary = await signUp(server, 'mary');
  await mail.mailTo(mary.email);
  await server.post(
    'mutation ($input: SignInInput!) { signIn(input: $input) { __typename } }',
    { input: { email: mary.email, password: mary.password } },
    { headers: { 'user-agent': 'another device' } },
  );
  await expectSent(server);
  expect(mail.mails.filter(({ to }) => to === mary.email)).toHaveLength(1);
});
