import { beforeAll, expect, test } from 'vitest';
import { keyOf } from '../support/chat.ts';
import { signIn, signUp, type Person } from '../support/client.ts';
import { expectSent, mailSettings, startMailServer, type MailServer } from '../support/mail.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { recordStatements } from '../support/statements.ts';
import { followEvents } from '../support/stream.ts';

const password = 'the engine weaves';
let mail: MailServer;
let server: TestServer;

beforeAll(async () => {
  mail = await startMailServer();
  server = await startServer({ env: mailSettings(mail) });
});

/** Signs a user up, and receives the email that verifies their address. */
async function join(name: string): Promise<Person> {
  const person = await signUp(server, name);
  await mail.mailTo(person.email);
  return person;
}

const request = async (email: string) =>
  (await server.ask('mutation ($email: String!) { requestPasswordReset(email: $email) }', { email }))
    .requestPasswordReset;

const resetDocument = `mutation ($token: String!, $newPassword: String!) {
  resetPassword(token: $token, newPassword: $newPassword) {
    __typename
    ... on Error { message }
    ... on InvalidInput { fields { path code } }
    ... on SignedIn { accessToken refreshToken viewer { isEmailVerified sessions { isCurrent } } }
  }
}`;
const reset = async (token: string, newPassword = password) =>
  (await server.ask(resetDocument, { token, newPassword })).resetPassword;

const trySignIn = async (email: string, given: string) =>
  (
    await server.ask('mutation ($input: SignInInput!) { signIn(input: $input) { __typename } }', {
      input: { email, password: given },
    })
  ).signIn.__typename;

/** Requests a code for the person, and returns the code that arrives. */
async function requestCode({ email }: Person): Promise<string> {
  expect(await request(email)).toBe(true);
  return (await mail.mailTo(email)).token;
}

test('the email has a link, as text and as HTML, and says who sent it', async () => {
  const ada = await join('ada');
  expect(await request('ADA@example.com')).toBe(true);
  const received = await mail.mailTo(ada.email);
  expect(received).toMatchObject({
    from: 'Example Chat <chat@example.com>',
    subject: 'Reset your password for chat.example.com',
    token: expect.stringMatching(/^ppr_[\w-]{43}$/),
  });
  const link = `https://chat.example.com/reset-password#token=${received.token}`;
  expect(received.text).toContain(link);
  expect(received.html).toContain(`<a href="${link}">`);
  expect(received.headers.get('auto-submitted')).toBe('auto-generated');
  expect(received.headers.get('message-id')).toMatch(/^<[0-9a-f-]{36}@example\.com>$/);
  // Only the hash is stored.
  const { rows } = await server.sql.query('select mail_codes::text as row from mail_codes');
  expect(JSON.stringify(rows)).not.toContain(received.token);
});

test('a new password ends every session, starts a new one and verifies the address', async () => {
  const grace = await join('grace');
  const elsewhere = await signIn(server, grace);
  expect(await grace.ask('{ viewer { isEmailVerified } }')).toEqual({ viewer: { isEmailVerified: false } });
  await using stream = await followEvents(server, elsewhere);
  const signedIn = await reset(await requestCode(grace));
  expect(signedIn).toMatchObject({
    __typename: 'SignedIn',
    viewer: { isEmailVerified: true, sessions: [{ isCurrent: true }] },
  });
  await stream.ended();
  for (const session of [grace, elsewhere]) {
    const { errors } = await session.post('{ viewer { id } }');
    expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  }
  expect(await trySignIn(grace.email, grace.password)).toBe('InvalidCredentials');
  expect(await trySignIn(grace.email, password)).toBe('SignedIn');
});

test('a code works once, even for two requests at the same time', async () => {
  const linus = await join('linus');
  const code = await requestCode(linus);
  const answers = await Promise.all([reset(code), reset(code, 'another engine weaves')]);
  expect(answers.map(({ __typename }) => String(__typename)).toSorted()).toEqual(['InvalidCredentials', 'SignedIn']);
  expect(await reset(code)).toEqual({
    __typename: 'InvalidCredentials',
    message: 'The code is not valid: request a new one.',
  });
});

test('a password that is refused does not use the code up', async () => {
  const hedy = await join('hedy');
  const code = await requestCode(hedy);
  expect(await reset(code, 'short')).toMatchObject({
    __typename: 'InvalidInput',
    fields: [{ path: ['newPassword'], code: 'TOO_SHORT' }],
  });
  expect(await reset(code, 'HEDY@example.com')).toMatchObject({ fields: [{ code: 'NOT_ALLOWED' }] });
  expect(await reset(code)).toMatchObject({ __typename: 'SignedIn' });
});

test('a code is valid for an hour', async () => {
  const radia = await join('radia');
  const code = await requestCode(radia);
  const age = (by: string) =>
    server.sql.query('update mail_codes set created_at = created_at - $2::interval where user_id = $1', [
      keyOf(radia.userId),
      by,
    ]);
  await age('61 minutes');
  expect(await reset(code)).toMatchObject({ __typename: 'InvalidCredentials' });
  await age('-2 minutes');
  expect(await reset(code)).toMatchObject({ __typename: 'SignedIn' });
});

test.each(['', 'ppr_', `ppr_${'A'.repeat(43)}`, `pev_${'A'.repeat(43)}`, 'x'.repeat(100_000)])(
  'the made-up code %.20j is refused',
  async (code) => {
    expect(await reset(code)).toMatchObject({ __typename: 'InvalidCredentials' });
  },
);

test('a code that verifies an address does not reset a password, nor the other way round', async () => {
  const barbara = await signUp(server, 'barbara');
  const { token: verification } = await mail.mailTo(barbara.email);
  expect(verification).toMatch(/^pev_/);
  expect(await reset(verification)).toMatchObject({ __typename: 'InvalidCredentials' });
  const code = await requestCode(barbara);
  const { verifyEmail } = await server.ask('mutation ($token: String!) { verifyEmail(token: $token) { __typename } }', {
    token: code,
  });
  expect(verifyEmail).toEqual({ __typename: 'InvalidCredentials' });
  expect(await reset(code)).toMatchObject({ __typename: 'SignedIn' });
});

test('a code becomes invalid when the password is changed, the address changes, or the account is erased', async () => {
  const [annie, joan, karen] = [await join('annie'), await join('joan'), await join('karen')];
  const [first, second, third] = [await requestCode(annie), await requestCode(joan), await requestCode(karen)];
  await annie.ask('mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { __typename } }', {
    input: { currentPassword: annie.password, newPassword: password },
  });
  expect(await reset(first)).toMatchObject({ __typename: 'InvalidCredentials' });
  await server.sql.query(`update users set email = 'joan@example.org' where id = $1`, [keyOf(joan.userId)]);
  expect(await reset(second)).toMatchObject({ __typename: 'InvalidCredentials' });
  await karen.ask('mutation ($password: String!) { deleteAccount(password: $password) { __typename } }', {
    password: karen.password,
  });
  expect(await reset(third)).toMatchObject({ __typename: 'InvalidCredentials' });
});

test('the code of a suspended user changes nothing, and the answer says why', async () => {
  const jean = await join('jean');
  const code = await requestCode(jean);
  const restriction = `insert into restrictions (user_id, kind, reason) values ($1, 'SUSPENSION', 'spam')`;
  await server.sql.query(restriction, [keyOf(jean.userId)]);
  expect(await reset(code)).toMatchObject({ __typename: 'Forbidden', message: 'This account is suspended.' });
  await server.sql.query('delete from restrictions where user_id = $1', [keyOf(jean.userId)]);
  expect(await trySignIn(jean.email, jean.password)).toBe('SignedIn');
});

test('an address without an account, or whose account has no password, gets the same answer and no email', async () => {
  const mileva = await join('mileva');
  await server.sql.query('delete from credentials where user_id = $1', [keyOf(mileva.userId)]);
  const before = mail.mails.length;
  for (const email of ['no.one@example.com', mileva.email, 'not an address', '']) {
    expect(await request(email)).toBe(true);
  }
  await expectSent(server);
  expect(mail.mails.length).toBe(before);
});

test('the email goes to the address of the account as it is stored, and not to one that merely looks the same', async () => {
  const mike = await join('mike');
  // The Kelvin sign is another way to write a k, but it is not equivalent to a k in an address.
  expect(await request('mi\u212Ae@example.com')).toBe(true);
  expect(await request('MIKE@Example.com')).toBe(true);
  expect((await mail.mailTo(mike.email)).to).toBe('mike@example.com');
});

test('a request runs the same statements for an address with an account and for one without', async () => {
  const frances = await join('frances');
  const measure = (email: string) => recordStatements(server, () => request(email));
  const known = await measure(frances.email);
  expect(known.length).toBeGreaterThan(0);
  expect(await measure('no.one@example.com')).toEqual(known);
});

test('without a mail server, operations that send mail answer Forbidden, and the log says once that there is none', async () => {
  await using silent = await startServer();
  const ada = await signUp(silent, 'ada');
  const forbidden = { message: 'This server sends no mail.', extensions: { code: 'FORBIDDEN' } };
  const { errors } = await silent.post('mutation { requestPasswordReset(email: "ada@example.com") }');
  expect(errors).toMatchObject([forbidden]);
  expect((await ada.post('mutation { requestEmailVerification }')).errors).toMatchObject([forbidden]);
  expect((await silent.post('mutation { verifyEmail(token: "x") { __typename } }')).errors).toMatchObject([forbidden]);
  const { resetPassword } = await silent.ask(resetDocument, { token: 'x', newPassword: password });
  expect(resetPassword).toEqual({ __typename: 'Forbidden', message: 'This server sends no mail.' });
  const { changeEmail } = await ada.ask(
    `mutation { changeEmail(input: { email: "a@example.com", currentPassword: "x" }) { __typename } }`,
  );
  expect(changeEmail).toEqual({ __typename: 'Forbidden' });
  expect(silent.log.filter(({ msg }) => String(msg).includes('SMTP_URL is not set'))).toHaveLength(1);
});
