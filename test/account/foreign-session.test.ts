import { beforeAll, expect, test, vi } from 'vitest';
import { pruneRefusals } from '../../src/account/token-refusal.ts';
import { parseId } from '../../src/core/id.ts';
import { connectDatabase, disconnectDatabase } from '../../src/postgres/client.ts';
import { exchange, issuersEnv, secondsFromNow, TestIssuer, viewerOf } from '../support/issuer.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { followEvents, openStream, eventsDocument } from '../support/stream.ts';

let issuer: TestIssuer;
let server: TestServer;
let other: TestServer;
beforeAll(async () => {
  issuer = await TestIssuer.start();
  const env = issuersEnv({ ...issuer.settings, claims: { session: 'session_id' } });
  server = await startServer({ env });
  other = await startServer({ env, database: server.database });
});

const connect = () =>
  connectDatabase({ url: server.database.url, maxConnections: 1, statementTimeoutMs: 8_000, onError: () => undefined });

const sessionOf = async (token: string, on = server): Promise<string> =>
  (await viewerOf(on, token)).sessions.find(({ isCurrent }: { isCurrent: boolean }) => isCurrent).id;
const expiryOf = async (session: string): Promise<number> => {
  const { rows } = await server.sql.query(
    'select extract(epoch from expires_at)::int as at from sessions where id = $1',
    [parseId(session)?.key],
  );
  return rows[0].at;
};

test.each<[string, Record<string, unknown>, Record<string, unknown>, boolean]>([
  ['the same sid', { sid: 'a', jti: '1' }, { sid: 'a', jti: '2' }, true],
  ['another sid', { sid: 'a' }, { sid: 'b' }, false],
  ['the same configured claim', { session_id: 'c' }, { session_id: 'c' }, true],
  ['another configured claim', { session_id: 'c' }, { session_id: 'd' }, false],
  ['the same sid but another configured claim', { sid: 'e', session_id: 'f' }, { sid: 'e', session_id: 'g' }, true],
  ['the same auth_time', { auth_time: 1, jti: '1' }, { auth_time: 1, jti: '2' }, true],
  ['another auth_time', { auth_time: 1 }, { auth_time: 2 }, false],
  ['the subject alone', { jti: '1' }, { jti: '2' }, true],
])('tokens with %s share a session only if they should', async (name, first, second, isSame) => {
  const sub = `key ${name}`;
  const session = await sessionOf(await issuer.issue({ sub, ...first }));
  const next = await sessionOf(await issuer.issue({ sub, ...second, iat: secondsFromNow(1) }), other);
  expect(next === session).toBe(isSame);
});

test('each token extends its session to its expiry, and an older one does not shorten it', async () => {
  const claims = { sub: 'long', sid: 'long' };
  const session = await sessionOf(await issuer.issue({ ...claims, exp: secondsFromNow(100) }));
  const later = secondsFromNow(1_000);
  expect(await sessionOf(await issuer.issue({ ...claims, exp: later }), other)).toBe(session);
  expect(await expiryOf(session)).toBe(later);
  await sessionOf(await issuer.issue({ ...claims, exp: secondsFromNow(200) }));
  expect(await expiryOf(session)).toBe(later);
});

test('a session is over when its last token expires, and its next token begins it again', async () => {
  const claims = { sub: 'pause', sid: 'pause' };
  const token = await issuer.issue(claims);
  const session = await sessionOf(token);
  await server.sql.query(`update sessions set expires_at = now() where id = $1`, [parseId(session)?.key]);
  await vi.waitFor(async () => expect(await viewerOf(server, token)).toBe('UNAUTHENTICATED'), 2_000);
  expect(await sessionOf(await issuer.issue({ ...claims, iat: secondsFromNow(1) }))).toBe(session);
});

test('a stream ends with its token, and continues with the next one', async () => {
  await using quick = await startServer({
    database: server.database,
    env: issuersEnv(issuer),
    overrides: { streamTimes: { sweep: 50 } },
  });
  const claims = { sub: 'stream', sid: 'stream' };
  const token = await issuer.issue({ ...claims, exp: secondsFromNow(3) });
  await using stream = await followEvents(quick, { token });
  await stream.ended();
  const next = { token: await issuer.issue({ ...claims, iat: secondsFromNow(1) }) };
  await using again = await openStream(quick, next, eventsDocument, { variables: { after: stream.cursor } });
  expect(await again.next('CaughtUp')).toBeDefined();
});

const ends: [string, (token: string, session: string) => Promise<unknown>][] = [
  ['signOut', (token) => server.ask('mutation { signOut }', {}, token)],
  [
    'revokeSession',
    (token, id) => server.ask('mutation ($id: ID!) { revokeSession(sessionId: $id) { __typename } }', { id }, token),
  ],
  ['psql', (_, session) => server.sql.query('delete from sessions where id = $1', [parseId(session)?.key])],
];

test.each(ends)('%s ends a session and its stream for good, on every node', async (name, end) => {
  const claims = { sub: `end ${name}`, sid: `end ${name}` };
  const [token, unseen] = [await issuer.issue(claims), await issuer.issue({ ...claims, jti: 'unseen' })];
  const session = await sessionOf(token);
  expect(await sessionOf(token, other)).toBe(session);
  await using stream = await followEvents(other, { token });
  await end(token, session);
  expect((await stream.ended()).at(-2)?.data).toMatchObject({
    errors: [{ extensions: { code: 'UNAUTHENTICATED' } }],
  });
  await vi.waitFor(async () => expect(await viewerOf(other, token)).toBe('UNAUTHENTICATED'), 2_000);
  // No other token of that session is accepted either, not even one that is issued later.
  const later = await issuer.issue({ ...claims, iat: secondsFromNow(5) });
  for (const each of [token, unseen, later]) {
    for (const node of [server, other]) {
      expect(await viewerOf(node, each)).toBe('UNAUTHENTICATED');
      expect(await exchange(node, each)).toMatchObject({ __typename: 'InvalidCredentials' });
    }
  }
  expect(await viewerOf(server, await issuer.issue({ ...claims, sid: `next ${name}` }))).toMatchObject({
    sessions: [{ isCurrent: true }],
  });
});

test('where tokens say nothing about their session, signing out refuses those issued until then', async () => {
  const token = await issuer.issue({ sub: 'auth0' });
  await sessionOf(token);
  // This token is issued before the sign-out, because token times are in whole seconds and the next second might begin
  // in the meantime.
  const another = await issuer.issue({ sub: 'auth0', jti: 'another' });
  await server.ask('mutation { signOut }', {}, token);
  expect(await viewerOf(server, another)).toBe('UNAUTHENTICATED');
  const next = await issuer.issue({ sub: 'auth0', iat: secondsFromNow(2) });
  expect(await viewerOf(server, next)).toMatchObject({ sessions: [{ isCurrent: true }] });
  expect(await viewerOf(server, token)).toBe('UNAUTHENTICATED');
  expect(await viewerOf(other, token)).toBe('UNAUTHENTICATED');
});

test('a session that was exchanged outlives its token, and signing out refuses the token', async () => {
  const claims = { sub: 'exchange', sid: 'exchange' };
  const token = await issuer.issue(claims);
  const { accessToken, refreshToken } = await exchange(server, token);
  expect(await viewerOf(other, accessToken)).toMatchObject({ sessions: [{ isCurrent: true }] });
  await server.ask('mutation { signOut }', {}, accessToken);
  const refresh = 'mutation ($t: String!) { refreshSession(refreshToken: $t) { __typename } }';
  expect(await server.ask(refresh, { t: refreshToken })).toMatchObject({
    refreshSession: { __typename: 'InvalidCredentials' },
  });
  expect(await exchange(other, token)).toMatchObject({ __typename: 'InvalidCredentials' });
  expect(await viewerOf(other, token)).toBe('UNAUTHENTICATED');
});

test('signing out of an exchanged session also ends the one that the same tokens keep, on every node', async () => {
  const claims = { sub: 'both', sid: 'both' };
  const token = await issuer.issue(claims);
  await sessionOf(token);
  await sessionOf(token, other);
  const { accessToken } = await exchange(server, token);
  await using stream = await followEvents(other, { token });
  await server.ask('mutation { signOut }', {}, accessToken);
  await stream.ended();
  for (const node of [server, other]) {
    await vi.waitFor(async () => expect(await viewerOf(node, token)).toBe('UNAUTHENTICATED'), 2_000);
  }
  const { rows } = await server.sql.query(`select from sessions where foreign_key = 'sid:both'`);
  expect(rows).toEqual([]);
});

test('two sessions of the same tokens can be ended at the same time', async () => {
  for (let round = 0; round < 5; round += 1) {
    const token = await issuer.issue({ sub: 'twice', sid: `twice ${round}` });
    await sessionOf(token);
    const { accessToken } = await exchange(other, token);
    const answers = await Promise.all(
      [server, other].map((node, index) =>
        node.post('mutation { signOut }', {}, { token: index === 0 ? token : accessToken }),
      ),
    );
    // The second sign-out either finds that its session has already ended, or ends it.
    for (const { errors } of answers)
      expect(errors?.[0]?.extensions?.['code'] ?? 'UNAUTHENTICATED').toBe('UNAUTHENTICATED');
  }
});

test('a session that ends to make room for others of its user may begin again with its next token', async () => {
  const token = await issuer.issue({ sub: 'many', sid: 'many' });
  await sessionOf(token);
  // This is as if the token had been exchanged 99 times.
  await server.sql.query(
    `insert into sessions (user_id, issuer, foreign_key, token_issued_at)
    select user_id, issuer, foreign_key, token_issued_at from sessions, generate_series(1, 99)
    where foreign_key = 'sid:many'`,
  );
  expect(await exchange(server, token)).toMatchObject({ __typename: 'SignedIn' });
  const { rows } = await server.sql.query(`select count(*)::int from sessions where foreign_key = 'sid:many'`);
  expect(rows).toEqual([{ count: 100 }]);
  expect(await exchange(server, token)).toMatchObject({ __typename: 'SignedIn' });
  const next = await issuer.issue({ sub: 'many', sid: 'many', iat: secondsFromNow(1) });
  expect(await viewerOf(other, next)).toHaveProperty('user');
});

test('a refusal is kept while its tokens keep arriving, and deleted when it is no longer needed', async () => {
  const token = await issuer.issue({ sub: 'kept', sid: 'kept' });
  await sessionOf(token);
  await server.ask('mutation { signOut }', {}, token);
  const age = (refused: string, expiry: string) =>
    server.sql.query('update token_refusals set expires_at = now() + $2::interval where refused = $1', [
      refused,
      expiry,
    ]);
  await age('sid:kept', '1 day');
  expect(await viewerOf(other, token)).toBe('UNAUTHENTICATED');
  const { rows } = await server.sql.query(
    `select expires_at > now() + interval '30 days' as "isKept" from token_refusals where refused = 'sid:kept'`,
  );
  expect(rows).toEqual([{ isKept: true }]);

  await age('sid:kept', '-1 second');
  const db = connect();
  expect(await pruneRefusals({ db }, 100)).toBe(1);
  await disconnectDatabase(db);
  expect(await viewerOf(other, token)).toMatchObject({ sessions: [{ isCurrent: true }] });
});

test('a suspension refuses all tokens issued until now for good, and later ones until it ends', async () => {
  const tokens = await Promise.all(['r1', 'r2'].map((sid) => issuer.issue({ sub: 'refused', sid })));
  const { user } = await viewerOf(server, tokens[0] ?? '');
  const key = parseId(user.id)?.key;
  await server.sql.query(`insert into restrictions (user_id, kind) values ($1, 'SUSPENSION')`, [key]);
  for (const token of tokens) expect(await exchange(server, token)).toMatchObject({ __typename: 'InvalidCredentials' });
  for (const token of tokens) {
    await vi.waitFor(async () => expect(await viewerOf(other, token)).toBe('UNAUTHENTICATED'), 2_000);
  }
  const later = await issuer.issue({ sub: 'refused', sid: 'r3', iat: secondsFromNow(2) });
  expect(await viewerOf(server, later)).toBe('UNAUTHENTICATED');
  expect(await exchange(server, later)).toMatchObject({ __typename: 'Forbidden' });

  await server.sql.query('delete from restrictions where user_id = $1', [key]);
  expect(await viewerOf(server, later)).toMatchObject({ user: { id: user.id } });
  // A node that knows a session checks it again at most twice a second.
  await vi.waitFor(async () => expect(await viewerOf(server, tokens[0] ?? '')).toBe('UNAUTHENTICATED'), 2_000);
});

test('a suspension ends foreign sessions and streams, and later tokens say until when it lasts', async () => {
  const claims = { sub: 'suspended', sid: 'u1' };
  const token = await issuer.issue(claims);
  const { user } = await viewerOf(server, token);
  await using stream = await followEvents(other, { token });
  await server.sql.query(
    `insert into restrictions (user_id, kind, until, reason) values ($1, 'SUSPENSION', now() + interval '1 hour', 'spam')`,
    [parseId(user.id)?.key],
  );
  expect((await stream.ended()).at(-2)?.data).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
  await vi.waitFor(async () => expect(await viewerOf(server, token)).toBe('UNAUTHENTICATED'), 2_000);
  const later = await issuer.issue({ ...claims, sid: 'u2', iat: secondsFromNow(2) });
  expect(await viewerOf(other, later)).toBe('UNAUTHENTICATED');
  expect(await exchange(server, later)).toMatchObject({ __typename: 'Forbidden' });
  await server.sql.query('delete from restrictions where user_id = $1', [parseId(user.id)?.key]);
  expect(await viewerOf(server, later)).toMatchObject({ user: { id: user.id } });
  expect(await viewerOf(other, token)).toBe('UNAUTHENTICATED');
});

test('the same sid with another subject is another session', async () => {
  const mine = await sessionOf(await issuer.issue({ sub: 'mine', sid: 'shared browser' }));
  expect(await sessionOf(await issuer.issue({ sub: 'yours', sid: 'shared browser' }))).not.toBe(mine);
});

test('a foreign token uploads a file, and downloads it', async () => {
  const token = await issuer.issue({ sub: 'files', sid: 'files' });
  const form = new FormData();
  form.append('file', new Blob(['hello']), 'hello.txt');
  const response = await fetch(`${server.url}/api/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: form,
  });
  expect(response.status).toBe(201);
  const { files } = (await response.json()) as { files: { url: string }[] };
  expect(await (await fetch(`${server.url}${files[0]?.url}`)).text()).toBe('hello');
  const { rows } = await server.sql.query(`select user_agent from sessions where foreign_key = 'sid:files'`);
  expect(rows).toEqual([{ user_agent: 'node' }]);
});
