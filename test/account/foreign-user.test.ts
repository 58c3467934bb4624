import { beforeAll, expect, test } from 'vitest';
import { createGroup } from '../support/chat.ts';
import { signUp, type Data } from '../support/client.ts';
import { exchange, issuersEnv, secondsFromNow, TestIssuer, viewerOf } from '../support/issuer.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { eventOf, followEvents } from '../support/stream.ts';

let issuer: TestIssuer;
let server: TestServer;
let other: TestServer;
beforeAll(async () => {
  issuer = await TestIssuer.start();
  server = await startServer({ env: issuersEnv(issuer) });
  other = await startServer({ env: issuersEnv(issuer), database: server.database });
});

const countUsers = async () => Number((await server.sql.query('select count(*) from users')).rows[0].count);

test('simultaneous first visits on two nodes make one user and one session', async () => {
  const before = await countUsers();
  const claims = { sub: 'rush', sid: 'one', preferred_username: 'rush' };
  const tokens = await Promise.all(Array.from({ length: 8 }, () => issuer.issue({ ...claims, jti: Math.random() })));
  const viewers = await Promise.all(tokens.map((token, index) => viewerOf(index % 2 === 0 ? server : other, token)));
  expect(new Set(viewers.map(({ user }) => user.id)).size).toBe(1);
  expect(await countUsers()).toBe(before + 1);
  const last = await viewerOf(server, tokens[0] ?? '');
  expect(last).toMatchObject({ user: { username: 'rush' }, sessions: [{ isCurrent: true }] });
});

test('simultaneous first visits of different users who want one name get different names', async () => {
  const tokens = await Promise.all(
    Array.from({ length: 6 }, (_, index) => issuer.issue({ sub: `wish-${index}`, preferred_username: 'wished' })),
  );
  const viewers = await Promise.all(tokens.map((token, index) => viewerOf(index % 2 === 0 ? server : other, token)));
  const names = viewers.map(({ user }) => user.username);
  expect(new Set(names).size).toBe(6);
  expect(names).toContain('wished');
  for (const name of names) expect(name).toMatch(/^wished\d*$/);
});

test.each([
  ['Admin', 'Admin2'],
  ['@everyone', 'user'],
  ['erased_7', 'user'],
  ['Zoë Müller', 'Zoe_Muller'],
  ['  .x.  ', 'x'],
  ['日本', 'user'],
  ['a'.repeat(255), 'a'.repeat(54)],
])('the username claim %j becomes %s', async (claimed, expected) => {
  const { user } = await viewerOf(
    server,
    await issuer.issue({ sub: `named ${claimed}`.slice(0, 255), preferred_username: claimed }),
  );
  expect(user.username).toMatch(new RegExp(`^${expected.replaceAll('.', '\\.')}\\d*$`));
});

test('claims that fit nothing are left out', async () => {
  const claims = { preferred_username: 7, name: { first: 'Ada' }, email: ['ada@mail.example'], email_verified: true };
  expect(await viewerOf(server, await issuer.issue({ sub: 'odd', ...claims }))).toMatchObject({
    email: null,
    user: { username: expect.stringMatching(/^user\d*$/), displayName: null },
  });
  const long = { name: 'x'.repeat(70), email: `${'x'.repeat(300)}@mail.example`, email_verified: true };
  expect(await viewerOf(server, await issuer.issue({ sub: 'long', ...long }))).toMatchObject({
    email: null,
    user: { displayName: 'x'.repeat(64) },
  });
  // This URL is too long to be stored once its characters are encoded.
  const picture = `https://pictures.example/${'é'.repeat(1_500)}`;
  expect(await viewerOf(server, await issuer.issue({ sub: 'picture', picture }))).toHaveProperty('user');
  const broken = { name: 'A\nda\u0007 \ud800', email: 'no address', email_verified: true };
  expect(await viewerOf(server, await issuer.issue({ sub: 'broken', ...broken }))).toMatchObject({
    email: null,
    user: { displayName: 'A da \ufffd' },
  });
});

test('an address never identifies a user: one that is taken is not kept', async () => {
  const grace = await signUp(server, 'grace');
  const viewer = await viewerOf(
    server,
    await issuer.issue({ sub: 'not-grace', email: grace.email.toUpperCase(), email_verified: true }),
  );
  expect(viewer.email).toBeNull();
  expect(viewer.user.id).not.toBe(grace.userId);
});

test('two new users at once with one address: one of them gets it', async () => {
  const claims = { email: 'shared@mail.example', email_verified: true };
  const tokens = await Promise.all(['one', 'two'].map((sub) => issuer.issue({ sub: `mail-${sub}`, ...claims })));
  const viewers = await Promise.all([viewerOf(server, tokens[0] ?? ''), viewerOf(other, tokens[1] ?? '')]);
  expect(viewers.map(({ email }) => String(email)).toSorted()).toEqual(['null', 'shared@mail.example']);
});

describeChanges();

function describeChanges() {
  /** Makes a request with a token that was issued `age` seconds ago. */
  const visit = async (sub: string, age: number, claims: Record<string, unknown>): Promise<Data> =>
    viewerOf(server, await issuer.issue({ sub, iat: secondsFromNow(-age), ...claims }));

  test('changed claims change the profile, and others see it', async () => {
    const friend = await signUp(server, 'friend');
    const first = await issuer.issue({
      ...{ sub: 'changing', iat: secondsFromNow(-60), preferred_username: 'before', name: 'Before' },
      ...{ email: 'before@mail.example', email_verified: true },
    });
    const { user } = await viewerOf(server, first);
    await createGroup(friend, [{ userId: user.id }]);
    await using stream = await followEvents(server, friend, {
      document: 'subscription { events { event { __typename ... on UserUpdated { user { username displayName } } } } }',
    });
    const after = { preferred_username: 'after', name: 'After', email: 'after@mail.example', email_verified: true };
    expect(await visit('changing', 30, after)).toMatchObject({
      email: 'after@mail.example',
      user: { id: user.id, username: 'after', displayName: 'After' },
    });
    expect(eventOf(await stream.next('UserUpdated'))).toMatchObject({
      user: { username: 'after', displayName: 'After' },
    });
    expect(await visit('changing', 20, { email: 'new@mail.example', email_verified: false })).toMatchObject({
      email: null,
    });
  });

  test('the claim that the issuer names becomes the custom data of the user', async () => {
    const shop = await TestIssuer.start('https://shop.example');
    const custom = 'app_metadata.chat';
    await using shopServer = await startServer({
      env: issuersEnv({ ...shop.settings, claims: { custom } }),
      database: server.database,
    });
    const customAfter = async (age: number, claims: Record<string, unknown>): Promise<unknown> => {
      const token = await shop.issue({ sub: 'buyer', iat: secondsFromNow(-age), ...claims });
      return (await shopServer.ask('{ viewer { user { custom } } }', {}, token)).viewer.user.custom;
    };
    const claimed = (chat: unknown) => ({ app_metadata: { chat } });
    expect(await customAfter(90, {})).toEqual({});
    expect(await customAfter(80, claimed({ tier: 'gold', since: [2026, 11] }))).toEqual({
      tier: 'gold',
      since: [2026, 11],
    });
    for (const [age, unusable] of ['gold', ['gold'], null, { a: 'x'.repeat(4_096) }, { a: '\0' }].entries()) {
      expect(await customAfter(70 - age, claimed(unusable))).toEqual({ tier: 'gold', since: [2026, 11] });
    }
    // A value that was changed on this server stays until the claim changes.
    await shopServer.sql.query(`update users set custom = '{"tier": "silver"}' where custom ->> 'tier' = 'gold'`);
    expect(await customAfter(30, claimed({ since: [2026, 11], tier: 'gold' }))).toEqual({ tier: 'silver' });
    expect(await customAfter(20, claimed({}))).toEqual({});
  });

  test('an older token, and one that says nothing, change nothing', async () => {
    await visit('steady', 60, { name: 'New', preferred_username: 'steady' });
    expect(await visit('steady', 120, { name: 'Old' })).toMatchObject({ user: { displayName: 'New' } });
    expect(await visit('steady', 30, {})).toMatchObject({ user: { displayName: 'New', username: 'steady' } });
  });

  test('what a user changed here stays until the claim changes', async () => {
    const token = await issuer.issue({ sub: 'editor', iat: secondsFromNow(-90), name: 'Claimed' });
    const rename = 'mutation { updateProfile(input: { displayName: "Chosen" }) { __typename } }';
    await server.ask(rename, {}, token);
    expect(await visit('editor', 60, { name: 'Claimed' })).toMatchObject({ user: { displayName: 'Chosen' } });
    expect(await visit('editor', 30, { name: 'Claimed again' })).toMatchObject({
      user: { displayName: 'Claimed again' },
    });
  });
}

test('an issuer grants roles on the server by a claim, and a role that was granted here stays', async () => {
  const roles = { claim: 'realm_access.roles', ADMIN: 'chat-admin', MODERATOR: 'chat-moderator' };
  await using staffed = await startServer({
    database: server.database,
    env: issuersEnv({ ...issuer.settings, serverRoles: roles }),
  });
  const roleOf = async (sub: string, age: number, granted?: unknown) => {
    const claims = granted === undefined ? {} : { realm_access: { roles: granted } };
    await viewerOf(staffed, await issuer.issue({ sub, iat: secondsFromNow(-age), ...claims }));
    const { rows } = await server.sql.query(
      'select server_role as role from users u join identities i on i.user_id = u.id where i.subject = $1',
      [sub],
    );
    return rows[0].role;
  };
  expect(await roleOf('staff', 90, ['customer', 'chat-moderator'])).toBe('MODERATOR');
  expect(await roleOf('staff', 80, ['chat-moderator', 'chat-admin'])).toBe('ADMIN');
  expect(await roleOf('staff', 85, ['chat-moderator'])).toBe('ADMIN');
  // The last admin keeps the admin role until there is another admin.
  expect(await roleOf('staff', 75)).toBe('ADMIN');
  await server.sql.query(`update users set server_role = 'ADMIN' where username = 'grace'`);
  expect(await roleOf('staff', 70)).toBe('USER');
  expect(await roleOf('staff', 60, 'chat-admin')).toBe('ADMIN');
  expect(await roleOf('customer', 60, ['admin', 'ADMIN', 'chat-admin '])).toBe('USER');
  await server.sql.query(
    `update users set server_role = 'MODERATOR' where id = (select user_id from identities where subject = 'customer')`,
  );
  expect(await roleOf('customer', 50, ['customer'])).toBe('MODERATOR');

  const token = await issuer.issue({ sub: 'elsewhere', realm_access: { roles: ['chat-admin'] } });
  await viewerOf(server, token);
  const { rows } = await server.sql.query(
    `select server_role as role from users u join identities i on i.user_id = u.id where i.subject = 'elsewhere'`,
  );
  expect(rows).toEqual([{ role: 'USER' }]);
});

test('an erased user comes back as a new one, and only with a token that was issued afterwards', async () => {
  const old = await issuer.issue({ sub: 'leaver', sid: 'l1', preferred_username: 'leaver' });
  const unseen = await issuer.issue({ sub: 'leaver', sid: 'l2' });
  const { user } = await viewerOf(server, old);
  expect(await server.ask('mutation { deleteAccount { __typename } }', {}, old)).toMatchObject({
    deleteAccount: { __typename: 'AccountGone' },
  });
  const before = await countUsers();
  for (const token of [old, unseen]) {
    expect(await viewerOf(server, token)).toBe('UNAUTHENTICATED');
    expect(await viewerOf(other, token)).toBe('UNAUTHENTICATED');
    expect(await exchange(other, token)).toMatchObject({ __typename: 'InvalidCredentials' });
  }
  expect(await countUsers()).toBeLessThanOrEqual(before);
  const returned = await viewerOf(server, await issuer.issue({ sub: 'leaver', sid: 'l3', iat: secondsFromNow(2) }));
  expect(returned.user.id).not.toBe(user.id);
});

test('a user whose row is deleted with psql does not come back with the same token', async () => {
  const token = await issuer.issue({ sub: 'removed', preferred_username: 'removed' });
  expect(await viewerOf(server, token)).toMatchObject({ user: { username: 'removed' } });
  await server.sql.query(`delete from users where username = 'removed'`);
  expect(await viewerOf(other, token)).toBe('UNAUTHENTICATED');
  expect(await exchange(server, token)).toMatchObject({ __typename: 'InvalidCredentials' });
});

const deleteAccount = `mutation ($password: String) {
  deleteAccount(password: $password) { __typename ... on Error { message } }
}`;

test('an account without a password asks for a token from the last five minutes instead', async () => {
  const old = await issuer.issue({ sub: 'proof', sid: 'p', iat: secondsFromNow(-301) });
  expect(await server.ask(deleteAccount, {}, old)).toMatchObject({
    deleteAccount: { __typename: 'InvalidCredentials' },
  });
  const bad = [
    await issuer.issue({ sub: 'another', sid: 'p' }),
    await issuer.issue({ sub: 'proof', sid: 'p', iat: secondsFromNow(-301) }),
    await issuer.issue({ sub: 'proof', aud: 'elsewhere' }),
    'anything',
  ];
  await viewerOf(server, bad[0] ?? '');
  for (const password of bad) {
    expect(await server.ask(deleteAccount, { password }, old)).toMatchObject({
      deleteAccount: { __typename: 'InvalidCredentials' },
    });
  }
  const { accessToken } = await exchange(server, await issuer.issue({ sub: 'proof', sid: 'p2' }));
  expect(await server.ask(deleteAccount, {}, accessToken)).toMatchObject({
    deleteAccount: { __typename: 'InvalidCredentials' },
  });
  const password = await issuer.issue({ sub: 'proof', sid: 'p', iat: secondsFromNow(-290) });
  expect(await server.ask(deleteAccount, { password }, accessToken)).toMatchObject({
    deleteAccount: { __typename: 'AccountGone' },
  });
});

test('an account without a password gets its first password with a recent token, and asks for it from then on', async () => {
  const change = `mutation ($input: ChangePasswordInput!) {
    changePassword(input: $input) { __typename ... on SignedIn { accessToken viewer { hasPassword } } }
  }`;
  const newPassword = 'mauve-otter-41-lamp';
  const claims = { sub: 'password', sid: 'w', email: 'password@mail.example', email_verified: true };
  const stale = await issuer.issue({ ...claims, iat: secondsFromNow(-301) });
  expect(await server.ask(change, { input: { newPassword } }, stale)).toMatchObject({
    changePassword: { __typename: 'InvalidCredentials' },
  });
  const recent = await issuer.issue(claims);
  // The session for which this token was exchanged ends, and so do all other sessions except the current one.
  const { accessToken } = await exchange(server, recent);
  const { changePassword } = await server.ask(change, { input: { newPassword } }, recent);
  expect(changePassword).toMatchObject({ __typename: 'SignedIn', viewer: { hasPassword: true } });
  expect(await viewerOf(server, changePassword.accessToken)).toMatchObject({ email: claims.email });
  expect(await viewerOf(server, accessToken)).toBe('UNAUTHENTICATED');
  expect(await server.ask(change, { input: { newPassword } }, recent)).toMatchObject({
    changePassword: { __typename: 'InvalidInput' },
  });
  const signIn = 'mutation ($input: SignInInput!) { signIn(input: $input) { __typename } }';
  expect(await server.ask(signIn, { input: { email: claims.email, password: newPassword } })).toEqual({
    signIn: { __typename: 'SignedIn' },
  });
});

test('a user with a password cannot use a token in its place', async () => {
  const grace = await signUp(server, 'hopper');
  const password = await issuer.issue({ sub: 'hopper' });
  expect(await grace.ask(deleteAccount, {})).toMatchObject({ deleteAccount: { __typename: 'InvalidInput' } });
  expect((await grace.ask(deleteAccount, { password })).deleteAccount.__typename).not.toBe('AccountGone');
});

test('without passwords, users come from other systems only', async () => {
  await using strict = await startServer({
    database: server.database,
    env: { ...issuersEnv(issuer), PASSWORDS: 'false' },
  });
  const input = { username: 'x', email: 'x@example.com', password: 'mauve-otter-41-lamp' };
  const document = `mutation ($up: SignUpInput!, $in: SignInInput!) {
    signUp(input: $up) { __typename } signIn(input: $in) { __typename }
  }`;
  expect(await strict.ask(document, { up: input, in: { email: input.email, password: input.password } })).toEqual({
    signUp: { __typename: 'Forbidden' },
    signIn: { __typename: 'Forbidden' },
  });
  const token = await issuer.issue({ sub: 'strict' });
  expect(await viewerOf(strict, token)).toMatchObject({ hasPassword: false });
  const change = 'mutation { changePassword(input: { newPassword: "mauve-otter-41-lamp" }) { __typename } }';
  expect(await strict.ask(change, {}, token)).toEqual({ changePassword: { __typename: 'Forbidden' } });
});
