import { createHash } from 'node:crypto';
import { beforeAll, expect, test, vi } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { encodeId, parseId } from '../../src/core/id.ts';
import { signUp, type Person } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

const refreshMutation = `mutation ($refreshToken: String!) {
  refreshSession(refreshToken: $refreshToken) {
    __typename
    ... on Error { code message }
    ... on SignedIn { accessToken refreshToken viewer { user { username } sessions { id isCurrent lastUsedAt } } }
  }
}`;
const revokeMutation = `mutation ($sessionId: ID!) {
  revokeSession(sessionId: $sessionId) {
    __typename
    ... on Error { code message }
    ... on Session { id userAgent isCurrent }
  }
}`;
const signInMutation = `mutation ($input: SignInInput!) {
  signIn(input: $input) { ... on SignedIn { accessToken refreshToken viewer { sessions { id isCurrent } } } }
}`;
const sessionsQuery = '{ viewer { sessions { id createdAt lastUsedAt userAgent isCurrent } } }';

type Session = { id: string; createdAt: string; lastUsedAt: string; userAgent: string | null; isCurrent: boolean };
type Device = { token: string; refreshToken: string; sessionId: string };

let server: TestServer;
beforeAll(async () => {
  server = await sharedServer();
});

async function refresh(refreshToken: string, on: TestServer = server) {
  return (await on.ask(refreshMutation, { refreshToken })).refreshSession;
}

async function signInAgain({ email, password }: Person, userAgent = 'another device'): Promise<Device> {
  const input = { email, password };
  const { data } = await server.post(signInMutation, { input }, { headers: { 'user-agent': userAgent } });
  const { accessToken, refreshToken, viewer } = data.signIn;
  const current = viewer.sessions.find((session: Session) => session.isCurrent);
  return { token: accessToken, refreshToken, sessionId: current.id };
}

/** Returns `in` if the token is valid, or otherwise the code of the error. */
async function stateOf(token: string, on: TestServer = server) {
  const { data, errors } = await on.post('{ viewer { id } }', {}, { token });
  return errors === undefined && data.viewer !== null ? 'in' : errors?.[0]?.extensions?.['code'];
}

const sessionsOf = async (token: string): Promise<Session[]> =>
  (await server.ask(sessionsQuery, {}, token)).viewer.sessions;
const keyOf = (globalId: string) => parseId(globalId)?.key;
const hashOf = (refreshToken: string) => createHash('sha256').update(refreshToken).digest();

/** Makes the refresh token look as if it had been used `interval` ago. */
const usedAgo = (refreshToken: string, interval: string) =>
  server.sql.query('update refresh_tokens set used_at = now() - $2::interval where token_hash = $1', [
    hashOf(refreshToken),
    interval,
  ]);

test('a user sees where they are signed in, last used first', async () => {
  const ada = await signUp(server, 'ada');
  const phone = await signInAgain(ada, 'a phone');
  const [first, second, ...others] = await sessionsOf(ada.token);
  expect(others).toEqual([]);
  expect(first).toMatchObject({ id: phone.sessionId, userAgent: 'a phone', isCurrent: false });
  expect(second).toMatchObject({ isCurrent: true });
  expect((await sessionsOf(phone.token)).map(({ isCurrent }) => isCurrent)).toEqual([true, false]);

  await refresh(ada.refreshToken);
  const [now] = await sessionsOf(ada.token);
  expect(now?.id).toBe(second?.id);
  expect(Date.parse(now?.lastUsedAt ?? '')).toBeGreaterThan(Date.parse(second?.lastUsedAt ?? ''));
});

test('a user agent is stored up to its maximum length', async () => {
  const device = await signInAgain(await signUp(server, 'hedy'), 'x'.repeat(300));
  const [session] = await sessionsOf(device.token);
  expect(session?.userAgent).toBe('x'.repeat(256));
});

test('a refresh token is exchanged for a new pair of tokens, and is stored as a hash', async () => {
  const grace = await signUp(server, 'grace');
  const next = await refresh(grace.refreshToken);
  expect(next).toMatchObject({
    __typename: 'SignedIn',
    viewer: { user: { username: 'grace' }, sessions: [{ isCurrent: true }] },
  });
  expect(await stateOf(next.accessToken)).toBe('in');
  expect(next.refreshToken).toMatch(/^prt_[A-Za-z0-9_-]{43}$/);
  expect(next.refreshToken).not.toBe(grace.refreshToken);
  expect(await refresh(next.refreshToken)).toMatchObject({ __typename: 'SignedIn' });
  const { rows } = await server.sql.query('select session_id from refresh_tokens where token_hash = $1', [
    hashOf(next.refreshToken),
  ]);
  expect(rows).toHaveLength(1);
});

test('a used refresh token that is sent again within 20 s gets the same new one', async () => {
  const linus = await signUp(server, 'linus');
  const lost = await refresh(linus.refreshToken);
  await usedAgo(linus.refreshToken, '15 seconds');
  const again = await refresh(linus.refreshToken);
  expect(again.refreshToken).toBe(lost.refreshToken);
  expect(await stateOf(again.accessToken)).toBe('in');
  const next = await refresh(again.refreshToken);
  expect(next).toMatchObject({ __typename: 'SignedIn' });
  expect(next.refreshToken).not.toBe(again.refreshToken);
});

test('a thief who reuses a refresh token within its 20 s is detected when thief and owner both continue to refresh', async () => {
  const margaret = await signUp(server, 'margaret');
  const owner = await refresh(margaret.refreshToken);
  const thief = await refresh(margaret.refreshToken);
  expect(await stateOf(thief.accessToken)).toBe('in');
  const later = await refresh(owner.refreshToken);
  expect(await stateOf(later.accessToken)).toBe('in');
  await usedAgo(owner.refreshToken, '21 seconds');

  expect(await refresh(thief.refreshToken)).toMatchObject({ __typename: 'InvalidCredentials' });
  for (const { accessToken } of [owner, thief, later]) expect(await stateOf(accessToken)).toBe('UNAUTHENTICATED');
  expect(await refresh(later.refreshToken)).toMatchObject({ __typename: 'InvalidCredentials' });
});

test('a node with another signing key does not start a second chain of refresh tokens', async () => {
  await using other = await startServer({ database: server.database, env: { JWT_KEYS: generateKeySet() } });
  const annie = await signUp(server, 'annie');
  const { refreshToken } = await refresh(annie.refreshToken);
  expect(await refresh(annie.refreshToken, other)).toMatchObject({ __typename: 'InvalidCredentials' });
  expect(await refresh(refreshToken, other)).toMatchObject({ __typename: 'SignedIn' });
});

test('repeating a used refresh token does not extend its 20 s', async () => {
  const frances = await signUp(server, 'frances');
  await refresh(frances.refreshToken);
  await usedAgo(frances.refreshToken, '15 seconds');
  await refresh(frances.refreshToken);
  const { rows } = await server.sql.query(
    'select now() - used_at > $2 as is_old from refresh_tokens where token_hash = $1',
    [hashOf(frances.refreshToken), '14 seconds'],
  );
  expect(rows).toEqual([{ is_old: true }]);
});

test('reusing one later ends the whole session, and no other session', async () => {
  const mary = await signUp(server, 'mary');
  const elsewhere = await signInAgain(mary);
  const thief = await refresh(mary.refreshToken);
  expect(await stateOf(thief.accessToken)).toBe('in');
  await usedAgo(mary.refreshToken, '21 seconds');

  expect(await refresh(mary.refreshToken)).toMatchObject({
    __typename: 'InvalidCredentials',
    code: 'INVALID_CREDENTIALS',
  });
  expect(await stateOf(thief.accessToken)).toBe('UNAUTHENTICATED');
  expect(await stateOf(mary.token)).toBe('UNAUTHENTICATED');
  expect(await refresh(thief.refreshToken)).toMatchObject({ __typename: 'InvalidCredentials' });
  expect(await stateOf(elsewhere.token)).toBe('in');
  expect(await sessionsOf(elsewhere.token)).toMatchObject([{ id: elsewhere.sessionId }]);
});

test('simultaneous refreshes with one token, on two nodes, all get the same new one', async () => {
  await using other = await startServer({ database: server.database });
  const joan = await signUp(server, 'joan');
  const pairs = await Promise.all(
    Array.from({ length: 8 }, (_, index) => refresh(joan.refreshToken, index % 2 === 0 ? server : other)),
  );
  const [next, ...others] = new Set(pairs.map(({ refreshToken }) => refreshToken));
  expect(others).toEqual([]);
  for (const { accessToken } of pairs) expect(await stateOf(accessToken)).toBe('in');
  expect(await refresh(next ?? '')).toMatchObject({ __typename: 'SignedIn' });
});

test('when a stolen token is reused several times simultaneously, no request gets a new one', async () => {
  const evelyn = await signUp(server, 'evelyn');
  await refresh(evelyn.refreshToken);
  await usedAgo(evelyn.refreshToken, '1 minute');
  const answers = await Promise.all(Array.from({ length: 5 }, () => refresh(evelyn.refreshToken)));
  expect(new Set(answers.map(({ __typename }) => __typename))).toEqual(new Set(['InvalidCredentials']));
});

test.each(['', 'x', 'x'.repeat(43), 'x'.repeat(100_000), '\u0000'.repeat(43), 'ä'.repeat(43)])(
  'a refresh token that was never issued is refused: %#',
  async (refreshToken) => {
    expect(await refresh(refreshToken)).toMatchObject({ __typename: 'InvalidCredentials' });
  },
);

test('an invalid or expired access token does not keep anyone from refreshing or signing in', async () => {
  const ida = await signUp(server, 'ida');
  const { data } = await server.post(refreshMutation, { refreshToken: ida.refreshToken }, { token: 'not.a.token' });
  expect(data.refreshSession).toMatchObject({ __typename: 'SignedIn', viewer: { sessions: [{ isCurrent: true }] } });
  const input = { email: ida.email, password: ida.password };
  const signedIn = await server.post(signInMutation, { input }, { token: 'not.a.token' });
  expect(signedIn.data.signIn.viewer.sessions).toHaveLength(2);
});

test('a session that was not refreshed for 30 days has ended', async () => {
  const betty = await signUp(server, 'betty');
  const device = await signInAgain(betty);
  const idleFor = (interval: string) =>
    server.sql.query('update sessions set last_used_at = now() - $2::interval where id = $1', [
      keyOf(device.sessionId),
      interval,
    ]);
  await idleFor('29 days');
  expect(await stateOf(device.token)).toBe('in');
  expect(await sessionsOf(betty.token)).toHaveLength(2);
  await idleFor('30 days 1 second');
  await vi.waitFor(async () => expect(await stateOf(device.token)).toBe('UNAUTHENTICATED'), 1_000);
  expect(await sessionsOf(betty.token)).toHaveLength(1);
  expect(await refresh(device.refreshToken)).toMatchObject({ __typename: 'InvalidCredentials' });
  expect(await stateOf(betty.token)).toBe('in');
});

test('a session that refreshes too often is rate-limited', async () => {
  await using limited = await startServer({ database: server.database, env: { RATE_LIMITS: 'on' } });
  const dorothy = await signUp(limited, 'dorothy');
  let { refreshToken } = dorothy;
  for (let count = 0; count < 60; count += 1) ({ refreshToken } = await refresh(refreshToken, limited));
  const { errors } = await limited.post(refreshMutation, { refreshToken });
  expect(errors).toMatchObject([{ extensions: { code: 'RATE_LIMITED', retryAfterSeconds: expect.any(Number) } }]);
});

test('signing out invalidates both tokens of the device immediately, and no tokens of other devices', async () => {
  const barbara = await signUp(server, 'barbara');
  const phone = await signInAgain(barbara);
  expect(await stateOf(phone.token)).toBe('in');
  expect(await server.ask('mutation { signOut }', {}, phone.token)).toEqual({ signOut: true });
  expect(await stateOf(phone.token)).toBe('UNAUTHENTICATED');
  expect(await refresh(phone.refreshToken)).toMatchObject({ __typename: 'InvalidCredentials' });
  expect(await stateOf(barbara.token)).toBe('in');
  expect(await sessionsOf(barbara.token)).toHaveLength(1);

  const { errors } = await server.post('mutation { signOut }');
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});

test('in an operation, the fields after signOut are executed without a signed-in user', async () => {
  const { token } = await signUp(server, 'shafi');
  const { errors } = await server.post('mutation { first: signOut second: signOut }', {}, { token });
  expect(errors).toMatchObject([{ path: ['second'], extensions: { code: 'UNAUTHENTICATED' } }]);
});

test('a revoked session’s access token stops working immediately here, and within a second on another node', async () => {
  await using other = await startServer({ database: server.database });
  const karen = await signUp(server, 'karen');
  const phone = await signInAgain(karen, 'a lost phone');
  expect(await stateOf(phone.token)).toBe('in');
  expect(await stateOf(phone.token, other)).toBe('in');

  expect(await karen.ask(revokeMutation, { sessionId: phone.sessionId })).toEqual({
    revokeSession: { __typename: 'Session', id: phone.sessionId, userAgent: 'a lost phone', isCurrent: false },
  });
  const revokedAt = performance.now();
  expect(await stateOf(phone.token)).toBe('UNAUTHENTICATED');
  await vi.waitFor(async () => expect(await stateOf(phone.token, other)).toBe('UNAUTHENTICATED'), {
    timeout: 3_000,
    interval: 20,
  });
  expect(performance.now() - revokedAt).toBeLessThan(1_000);
  expect(await refresh(phone.refreshToken, other)).toMatchObject({ __typename: 'InvalidCredentials' });
  expect(await stateOf(karen.token, other)).toBe('in');
});

test('a session that is deleted with psql ends within a second', async () => {
  const lynn = await signUp(server, 'lynn');
  expect(await stateOf(lynn.token)).toBe('in');
  await server.sql.query('delete from sessions using users u where user_id = u.id and username = $1', ['lynn']);
  await vi.waitFor(async () => expect(await stateOf(lynn.token)).toBe('UNAUTHENTICATED'), 1_000);
});

test('the current session can be revoked too', async () => {
  const adele = await signUp(server, 'adele');
  const [session] = await sessionsOf(adele.token);
  expect(await adele.ask(revokeMutation, { sessionId: session?.id })).toMatchObject({
    revokeSession: { __typename: 'Session', isCurrent: true },
  });
  expect(await stateOf(adele.token)).toBe('UNAUTHENTICATED');
});

test('another user’s session is not found, and does not end', async () => {
  const [anita, carol] = [await signUp(server, 'anita'), await signUp(server, 'carol')];
  const [session] = await sessionsOf(anita.token);
  const node = 'query ($id: ID!) { node(id: $id) { __typename id } }';
  expect(await anita.ask(node, { id: session?.id })).toEqual({ node: { __typename: 'Session', id: session?.id } });
  expect(await carol.ask(node, { id: session?.id })).toEqual({ node: null });
  expect(await carol.ask(revokeMutation, { sessionId: session?.id })).toMatchObject({
    revokeSession: { __typename: 'NotFound', code: 'NOT_FOUND' },
  });
  expect(await carol.ask(revokeMutation, { sessionId: encodeId('Session', '999999999') })).toMatchObject({
    revokeSession: { __typename: 'NotFound' },
  });
  expect(await stateOf(anita.token)).toBe('in');
});

test('an invalid session id is answered with BAD_REQUEST', async () => {
  const jean = await signUp(server, 'jean');
  for (const sessionId of ['', 'x', '1', jean.userId, encodeId('Session', '1_2'), 'x'.repeat(10_000)]) {
    const { errors } = await server.post(revokeMutation, { sessionId }, { token: jean.token });
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  }
  expect(await stateOf(jean.token)).toBe('in');
});

test('past a hundred devices, the one that has been idle longest is signed out', async () => {
  const sophie = await signUp(server, 'sophie');
  expect(await stateOf(sophie.token)).toBe('in');
  await server.sql.query(
    `insert into sessions (user_id, last_used_at)
    select id, now() + make_interval(secs => n) from users, generate_series(1, 99) n where username = 'sophie'`,
  );
  expect(await sessionsOf(sophie.token)).toHaveLength(100);
  const newest = await signInAgain(sophie);
  expect(await stateOf(sophie.token)).toBe('UNAUTHENTICATED');
  expect(await sessionsOf(newest.token)).toHaveLength(100);
});

test('every end of a session is written to the log, so that its streams end', async () => {
  const peggy = await signUp(server, 'peggy');
  const [session] = await sessionsOf(peggy.token);
  await server.ask('mutation { signOut }', {}, peggy.token);
  const { rows } = await server.sql.query(
    "select detail from events where kind = 'SessionEnded' order by id desc limit 1",
  );
  expect(rows).toEqual([{ detail: { session_id: keyOf(session?.id ?? '') } }]);
});
