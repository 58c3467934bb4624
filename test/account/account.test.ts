import argon2 from 'argon2';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { owaspCost, PasswordHasher } from '../../src/account/password.ts';
import { signUp, type Person } from '../support/client.ts';
import { keyOf } from '../support/chat.ts';
import { type TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

const signUpMutation = `mutation ($input: SignUpInput!) {
  signUp(input: $input) {
    __typename
    ... on Error { code message }
    ... on InvalidInput { fields { path message } }
    ... on SignedIn {
      accessToken accessTokenExpiresAt refreshToken
      viewer { id email user { id username displayName createdAt } sessions { isCurrent userAgent } eventCursor }
    }
  }
}`;
const signInMutation = `mutation ($input: SignInInput!) {
  signIn(input: $input) {
    __typename
    ... on Error { code message }
    ... on InvalidInput { fields { path message } }
    ... on SignedIn { accessToken refreshToken viewer { id sessions { isCurrent } } }
  }
}`;
const changePasswordMutation = `mutation ($input: ChangePasswordInput!) {
  changePassword(input: $input) {
    __typename
    ... on Error { code message }
    ... on InvalidInput { fields { path message } }
    ... on SignedIn { accessToken refreshToken viewer { sessions { id isCurrent } } }
  }
}`;
const refreshMutation = `mutation ($refreshToken: String!) {
  refreshSession(refreshToken: $refreshToken) { __typename ... on SignedIn { accessToken refreshToken } }
}`;

const password = 'the engine weaves';
let server: TestServer;
let ada: Person;

beforeAll(async () => {
  server = await sharedServer();
  ada = await signUp(server, 'ada');
});
afterEach(() => vi.restoreAllMocks());

const signIn = async (email: string, given: string) =>
  (await server.ask(signInMutation, { input: { email, password: given } })).signIn;
const changePassword = async (token: string, currentPassword: string, newPassword: string) =>
  (await server.ask(changePasswordMutation, { input: { currentPassword, newPassword } }, token)).changePassword;
const trySignUp = async (input: Record<string, unknown>) => (await server.ask(signUpMutation, { input })).signUp;
const emailOf = async (token: string) => (await server.post('{ viewer { email } }', {}, { token })).data?.viewer?.email;

test('a user who signs up is signed in, and sees themselves', async () => {
  const { data } = await server.post(
    signUpMutation,
    { input: { username: 'Barbara.L', email: 'Barbara@Example.com', password, displayName: '  Barbara Liskov ' } },
    { headers: { 'user-agent': 'Firefox on a Friday' } },
  );
  const { signUp: signedIn } = data;
  expect(signedIn).toMatchObject({
    __typename: 'SignedIn',
    viewer: {
      email: 'Barbara@Example.com',
      user: { username: 'Barbara.L', displayName: 'Barbara Liskov' },
      sessions: [{ isCurrent: true, userAgent: 'Firefox on a Friday' }],
      eventCursor: expect.any(String),
    },
  });
  const inMinutes = (Date.parse(signedIn.accessTokenExpiresAt) - Date.now()) / 60_000;
  expect(inMinutes).toBeGreaterThan(14.5);
  expect(inMinutes).toBeLessThanOrEqual(15);
  expect(await emailOf(signedIn.accessToken)).toBe('Barbara@Example.com');
});

test('without an access token the viewer is null', async () => {
  expect(await server.ask('{ viewer { id } }')).toEqual({ viewer: null });
});

test('the error of a sign-up names every refused field, and no user is created', async () => {
  const refused = await trySignUp({ username: 'a b', email: 'nowhere', password: 'short', displayName: 'a\u0007b' });
  expect(refused).toMatchObject({ __typename: 'InvalidInput', code: 'INVALID_INPUT' });
  expect(refused.fields).toEqual([
    { path: ['username'], message: expect.stringContaining('must be 1 to 64 letters') },
    { path: ['email'], message: 'is not an email address' },
    { path: ['password'], message: 'must be at least 8 characters long' },
    { path: ['displayName'], message: 'must not contain control characters' },
  ]);
  const { rows } = await server.sql.query("select from users where email = 'nowhere'");
  expect(rows).toEqual([]);
});

test.each([
  ['username', ''],
  ['username', 'x'.repeat(65)],
  ['username', '-ada'],
  ['username', 'ada.'],
  ['username', 'ädä'],
  ['username', 'ada\n'],
  ['email', ''],
  ['email', '@example.com'],
  ['email', 'ada@'],
  ['email', 'a@b@c'],
  ['email', 'ada lovelace@example.com'],
  ['email', `${'x'.repeat(250)}@example.com`],
  ['email', 'ada\u0000@example.com'],
  ['password', 'x7'.repeat(65)],
  ['password', 'password123'],
  ['password', 'HEDY@example.com'],
  ['displayName', '   '],
  ['displayName', 'x'.repeat(65)],
  ['displayName', '\ud800'],
  ['displayName', 'x'.repeat(100_000)],
])('a sign-up with the %s %j is refused', async (field, value) => {
  const good = { username: 'hedy', email: 'hedy@example.com', password };
  const refused = await trySignUp({ ...good, [field]: value });
  expect(refused).toMatchObject({ __typename: 'InvalidInput', fields: [{ path: [field] }] });
});

test.each(['_', 'a', 'A-1', 'x'.repeat(64), '0.0', 'a..b__c'])('%s is a valid username', async (username) => {
  const email = `${username.length}${username.charCodeAt(0)}@example.com`;
  expect(await trySignUp({ username, email, password })).toMatchObject({ viewer: { user: { username } } });
});

test('a name that merely contains a reserved one is a valid username', async () => {
  for (const username of ['sysadmin', 'channels', 'parley-fan', 'erased'])
    expect(await trySignUp({ username, email: `${username}@example.com`, password })).toMatchObject({
      viewer: { user: { username } },
    });
});

test.each(['everyone', 'Here', 'CHANNEL', 'Admin', 'system', 'Parley', 'erased_1', 'Erased_x'])(
  'the reserved name %s is refused as a username, at sign-up and with psql',
  async (username) => {
    const email = `reserved-${username}@example.com`;
    expect(await trySignUp({ username, email, password })).toMatchObject({
      __typename: 'InvalidInput',
      fields: [{ path: ['username'], message: 'is reserved' }],
    });
    const insert = 'insert into users (username, email) values ($1, $2)';
    await expect(server.sql.query(insert, [username, email])).rejects.toThrow('username_is_not_reserved');
  },
);

test('a missing or wrongly typed field is answered with BAD_REQUEST', async () => {
  for (const input of [
    { username: 'edsger', email: 'e@example.com' },
    { username: 1, email: 'e@e.com', password },
  ]) {
    const { errors, data } = await server.post(signUpMutation, { input });
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
    expect(data).toBeUndefined();
  }
});

test('a username or email address that is taken, in whatever case, is a Conflict that says which', async () => {
  const email = 'else@example.com';
  expect(await trySignUp({ username: 'ADA', email, password })).toMatchObject({
    __typename: 'Conflict',
    code: 'CONFLICT',
    message: 'The username is taken.',
  });
  expect(await trySignUp({ username: 'else', email: 'ADA@example.com', password })).toMatchObject({
    __typename: 'Conflict',
    message: 'The email address is taken.',
  });
  expect(await trySignUp({ username: 'Ada', email: 'Ada@Example.com', password })).toMatchObject({
    __typename: 'Conflict',
    message: 'The username and the email address are both taken.',
  });
});

test('of many simultaneous sign-ups with the same username, one succeeds', async () => {
  const asked = Array.from({ length: 8 }, (_, index) =>
    trySignUp({
      username: index % 2 === 0 ? 'Highlander' : 'highlander',
      email: `there${index}@example.com`,
      password,
    }),
  );
  const answers = await Promise.all(asked);
  expect(answers.filter(({ __typename }) => __typename === 'SignedIn')).toHaveLength(1);
  expect(answers.filter(({ __typename }) => __typename === 'Conflict')).toHaveLength(7);
  const { rows } = await server.sql.query("select from users where fold(username) = 'highlander'");
  expect(rows).toHaveLength(1);
});

test('a password is stored only as an argon2id hash with its parameters', async () => {
  const { rows } = await server.sql.query(
    'select password_hash from credentials join users u on u.id = user_id where u.email = $1',
    [ada.email],
  );
  expect(await argon2.verify(rows[0].password_hash, ada.password)).toBe(true);
});

test('a user who signs in gets a new session, regardless of the case of the email address', async () => {
  const signedIn = await signIn('ADA@example.COM', ada.password);
  expect(signedIn).toMatchObject({ __typename: 'SignedIn' });
  expect(signedIn.viewer.sessions.filter((session: { isCurrent: boolean }) => session.isCurrent)).toHaveLength(1);
  expect(await emailOf(signedIn.accessToken)).toBe(ada.email);
  expect(await emailOf(ada.token)).toBe(ada.email);
});

test('an unknown email address gets the same answer as a wrong password, and costs the same work', async () => {
  const compare = vi.spyOn(argon2, 'verify');
  const wrong = await signIn(ada.email, 'not her password');
  expect(compare).toHaveBeenCalledTimes(1);
  const unknown = await signIn('nobody@example.com', 'not her password');
  expect(compare).toHaveBeenCalledTimes(2);
  expect(wrong).toMatchObject({ __typename: 'InvalidCredentials', code: 'INVALID_CREDENTIALS' });
  expect(unknown).toEqual(wrong);
  const costOf = (call: number) => /m=\d+,t=\d+,p=\d+/.exec(compare.mock.calls[call]?.[0] ?? '')?.[0];
  expect(costOf(1)).toBe(costOf(0));
});

test('a sign-in whose input can match no user is refused, the error names the fields, and nothing overlong is hashed', async () => {
  const compare = vi.spyOn(argon2, 'verify');
  expect(await signIn('', 'x'.repeat(129))).toMatchObject({
    __typename: 'InvalidInput',
    fields: [{ path: ['email'] }, { path: ['password'], message: 'must be at most 128 characters long' }],
  });
  expect(await signIn(ada.email, '')).toMatchObject({ fields: [{ path: ['password'], message: 'must not be empty' }] });
  expect(compare).not.toHaveBeenCalled();
});

test('no password is right for an account without one', async () => {
  const mileva = await signUp(server, 'mileva');
  await server.sql.query('delete from credentials where user_id = $1', [keyOf(mileva.userId)]);
  for (const guess of [mileva.password, '', 'null', 'undefined']) {
    const answer = await signIn(mileva.email, guess);
    expect(answer.__typename).toMatch(/^(InvalidCredentials|InvalidInput)$/);
  }
  expect(await signIn(mileva.email, mileva.password)).toMatchObject({ __typename: 'InvalidCredentials' });
  expect(await mileva.ask('{ viewer { email user { username } } }')).toEqual({
    viewer: { email: mileva.email, user: { username: 'mileva' } },
  });
});

test('a hash with another cost is replaced when its user signs in, also on several devices at the same time', async () => {
  const old = await new PasswordHasher(owaspCost).hash(password, { person: 'katherine', isKnown: true });
  const katherine = await signUp(server, 'katherine');
  await server.sql.query('update credentials set password_hash = $2 where user_id = $1', [
    keyOf(katherine.userId),
    old,
  ]);
  // Sign in from several devices at the same time.
  const answers = await Promise.all([1, 2, 3].map(() => signIn(katherine.email, password)));
  expect(answers.map(({ __typename }) => __typename)).toEqual(['SignedIn', 'SignedIn', 'SignedIn']);
  const { rows } = await server.sql.query(
    'select password_hash from credentials join users u on u.id = user_id where u.email = $1',
    [katherine.email],
  );
  expect(rows[0].password_hash).toContain('m=1024,t=1,p=1');
  expect(await signIn(katherine.email, password)).toMatchObject({ __typename: 'SignedIn' });
});

test('while 50 strangers sign in, their passwords are hashed one at a time and other requests are served', async () => {
  const held: (() => void)[] = [];
  const verify = argon2.verify;
  vi.spyOn(argon2, 'verify').mockImplementation(async (...args) => {
    await new Promise<void>((resolve) => held.push(resolve));
    return verify(...args);
  });
  const people = Array.from({ length: 50 }, (_, index) => signIn(`crowd${index}@example.com`, password));
  await vi.waitFor(() => expect(held).toHaveLength(1));
  expect(await emailOf(ada.token)).toBe(ada.email);
  expect(await trySignUp({ username: 'ada', email: 'not an address', password })).toMatchObject({
    __typename: 'InvalidInput',
  });
  expect(held).toHaveLength(1);
  vi.mocked(argon2.verify).mockImplementation(verify);
  held.splice(0).forEach((letGo) => letGo());
  const answers = await Promise.all(people);
  expect(new Set(answers.map(({ __typename }) => __typename))).toEqual(new Set(['InvalidCredentials']));
});

test('a changed password ends every other session and the old refresh token, and this session continues', async () => {
  const radia = await signUp(server, 'radia');
  const elsewhere = await signIn(radia.email, radia.password);
  expect(await emailOf(elsewhere.accessToken)).toBe(radia.email);

  const changed = await changePassword(radia.token, radia.password, password);
  expect(changed).toMatchObject({ __typename: 'SignedIn', viewer: { sessions: [{ isCurrent: true }] } });
  expect(await emailOf(changed.accessToken)).toBe(radia.email);
  expect(await emailOf(elsewhere.accessToken)).toBeUndefined();
  const refresh = async (refreshToken: string) =>
    (await server.ask(refreshMutation, { refreshToken })).refreshSession.__typename;
  expect(await refresh(elsewhere.refreshToken)).toBe('InvalidCredentials');
  expect(await refresh(radia.refreshToken)).toBe('InvalidCredentials');
  expect(await refresh(changed.refreshToken)).toBe('SignedIn');

  expect((await signIn(radia.email, radia.password)).__typename).toBe('InvalidCredentials');
  expect((await signIn(radia.email, password)).__typename).toBe('SignedIn');
});

test('a password is not changed without the current one, nor to an unacceptable one', async () => {
  const annie = await signUp(server, 'annie');
  expect(await changePassword(annie.token, 'not this one', password)).toMatchObject({
    __typename: 'InvalidCredentials',
    code: 'INVALID_CREDENTIALS',
  });
  for (const refused of ['short', 'password1', 'ANNIE@example.com', 'x7'.repeat(65)]) {
    expect(await changePassword(annie.token, annie.password, refused)).toMatchObject({
      __typename: 'InvalidInput',
      fields: [{ path: ['newPassword'] }],
    });
  }
  expect(await changePassword(annie.token, '', password)).toMatchObject({ fields: [{ path: ['currentPassword'] }] });
  expect(await signIn(annie.email, annie.password)).toMatchObject({ __typename: 'SignedIn' });

  const { errors } = await server.post(changePasswordMutation, {
    input: { currentPassword: annie.password, newPassword: password },
  });
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});

test('of two simultaneous changes of a password, one succeeds', async () => {
  const jean = await signUp(server, 'jean');
  const changes = await Promise.all(
    ['first of the two', 'second of the two'].map((next) => changePassword(jean.token, jean.password, next)),
  );
  const kinds = changes.map(({ __typename }) => __typename);
  expect(new Set(kinds)).toEqual(new Set(['SignedIn', 'InvalidCredentials']));
  const winner = ['first of the two', 'second of the two'][kinds.indexOf('SignedIn')] ?? '';
  expect(await signIn(jean.email, winner)).toMatchObject({ __typename: 'SignedIn' });
});

test('any signed-in user can see any other, but not their email address; a signed-out client can see no one', async () => {
  const query = 'query ($id: ID!) { node(id: $id) { __typename ... on User { username displayName createdAt } } }';
  const margaret = await signUp(server, 'margaret');
  expect(await margaret.ask(query, { id: ada.userId })).toMatchObject({
    node: { __typename: 'User', username: 'ada', displayName: null },
  });
  expect(await server.ask(query, { id: ada.userId })).toEqual({ node: null });
  for (const field of ['email', 'passwordHash', 'password']) {
    const { errors } = await server.post(
      `query ($id: ID!) { node(id: $id) { ... on User { ${field} } } }`,
      { id: ada.userId },
      { token: margaret.token },
    );
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  }
});

test('no password, token or email address is written to the log', async () => {
  const told = JSON.stringify(server.log);
  for (const secret of [ada.password, ada.token, ada.refreshToken, ada.email]) expect(told).not.toContain(secret);
});
