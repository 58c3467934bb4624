import { beforeAll, expect, test, vi } from 'vitest';
import { createGroup, say } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { createKey, exchange, issuersEnv, secondsFromNow, TestIssuer, viewerOf } from '../support/issuer.ts';
import { complaintsOf, startServer, type TestServer } from '../support/server.ts';
import { eventOf, followEvents } from '../support/stream.ts';

const event = 'http://schemas.openid.net/event/backchannel-logout';

let issuer: TestIssuer;
let rival: TestIssuer;
let server: TestServer;
let other: TestServer;
beforeAll(async () => {
  [issuer, rival] = await Promise.all([TestIssuer.start(), TestIssuer.start('https://rival.example')]);
  const env = issuersEnv({ ...issuer.settings, logoutAudience: ['client-1'] }, rival);
  server = await startServer({ env });
  other = await startServer({ env, database: server.database });
});

async function logOut(
  token: string | null,
  on = server,
): Promise<{ status: number; body: string; cache: string | null }> {
  const response = await fetch(`${on.url}/auth/logout`, {
    method: 'POST',
    body: new URLSearchParams(token === null ? {} : { logout_token: token }),
  });
  return { status: response.status, body: await response.text(), cache: response.headers.get('cache-control') };
}

const issueLogout = (claims: Record<string, unknown>, change = {}) =>
  issuer.issueLogout({ aud: 'client-1', ...claims }, change);

test('a logout token ends its session and streams on every node, at its position in the log', async () => {
  const claims = { sub: 'ada', sid: 'phone' };
  const [phone, laptop] = [await issuer.issue(claims), await issuer.issue({ ...claims, sid: 'laptop' })];
  const { user } = await viewerOf(server, phone);
  await viewerOf(server, laptop);
  const friend = await signUp(server, 'friend');
  const chat = await createGroup(friend, [{ userId: user.id }]);
  await using ending = await followEvents(other, { token: phone });
  await using staying = await followEvents(other, { token: laptop });
  await say(friend, chat, 'before');
  expect(await logOut(await issueLogout({ sid: 'phone' }))).toEqual({ status: 200, body: '', cache: 'no-store' });
  await say(friend, chat, 'after');

  const received = (await ending.ended()).map((frame) => eventOf(frame)?.message?.content).filter(Boolean);
  expect(received).toEqual(['before']);
  await staying.next((frame) => eventOf(frame)?.message?.content === 'after');
  await vi.waitFor(async () => expect(await viewerOf(other, phone)).toBe('UNAUTHENTICATED'), 2_000);
  expect(await viewerOf(server, phone)).toBe('UNAUTHENTICATED');
  expect(await viewerOf(server, laptop)).toMatchObject({ sessions: [{ isCurrent: true }] });
});

test('a logout also ends a session whose first token has yet to arrive, and exchanged sessions', async () => {
  const { accessToken } = await exchange(server, await issuer.issue({ sub: 'grace', sid: 'exchanged' }));
  expect(await viewerOf(server, accessToken)).toMatchObject({ hasPassword: false });
  for (const sid of ['exchanged', 'unseen']) expect((await logOut(await issueLogout({ sid }))).status).toBe(200);
  expect(await viewerOf(server, accessToken)).toBe('UNAUTHENTICATED');
  for (const sid of ['exchanged', 'unseen']) {
    const token = await issuer.issue({ sub: 'grace', sid, iat: secondsFromNow(3) });
    expect(await viewerOf(other, token)).toBe('UNAUTHENTICATED');
  }
});

test('a logout of a subject ends all their sessions of that issuer, and tokens that were issued until then', async () => {
  const tokens = await Promise.all(['a', 'b'].map((sid) => issuer.issue({ sub: 'linus', sid })));
  const { accessToken } = await exchange(server, await issuer.issue({ sub: 'linus', sid: 'c' }));
  const unseen = await issuer.issue({ sub: 'linus', sid: 'd' });
  const theirs = await rival.issue({ sub: 'linus', sid: 'a' });
  for (const token of [...tokens, accessToken, theirs]) expect(await viewerOf(server, token)).toHaveProperty('user');
  expect((await logOut(await issueLogout({ sub: 'linus' }), other)).status).toBe(200);
  for (const token of [...tokens, accessToken, unseen]) {
    await vi.waitFor(async () => expect(await viewerOf(server, token)).toBe('UNAUTHENTICATED'), 2_000);
  }
  expect(await viewerOf(server, theirs)).toHaveProperty('user');
  expect(await viewerOf(server, await issuer.issue({ sub: 'linus', sid: 'e', iat: secondsFromNow(2) }))).toHaveProperty(
    'user',
  );
});

test('a logout of a subject’s session also ends their sessions whose tokens do not say which they are', async () => {
  const tokens = await Promise.all([{}, { auth_time: 1 }].map((claims) => issuer.issue({ sub: 'barbara', ...claims })));
  const laptop = await issuer.issue({ sub: 'barbara', sid: 'laptop' });
  const others = await issuer.issue({ sub: 'frances' });
  for (const token of [...tokens, laptop, others]) expect(await viewerOf(server, token)).toHaveProperty('user');
  expect((await logOut(await issueLogout({ sub: 'barbara', sid: 'phone' }), other)).status).toBe(200);
  for (const token of tokens) {
    await vi.waitFor(async () => expect(await viewerOf(server, token)).toBe('UNAUTHENTICATED'), 2_000);
  }
  for (const token of [laptop, others]) expect(await viewerOf(server, token)).toHaveProperty('user');
});

test('a first visit and a logout at the same time leave no session behind', async () => {
  for (let round = 0; round < 5; round += 1) {
    const sid = `race ${round}`;
    const token = await issuer.issue({ sub: `race ${round}`, sid });
    const logout = await issueLogout({ sid });
    await Promise.all([viewerOf(server, token), logOut(logout, other)]);
    await vi.waitFor(async () => expect(await viewerOf(server, token)).toBe('UNAUTHENTICATED'), 2_000);
  }
  const { rows } = await server.sql.query(`select from sessions where foreign_key like 'sid:race%'`);
  expect(rows).toEqual([]);
});

test('a logout token is accepted once, also by two nodes at once', async () => {
  const token = await issueLogout({ sid: 'once' });
  const answers = await Promise.all([logOut(token), logOut(token, other), logOut(token)]);
  expect(answers.map(({ status }) => String(status)).toSorted()).toEqual(['200', '400', '400']);
  expect(await logOut(token)).toMatchObject({ status: 400, body: expect.stringContaining('used before') });
  expect((await logOut(await rival.issueLogout({ sid: 'once', jti: 'same' }))).status).toBe(200);
  expect((await logOut(await issueLogout({ sid: 'once', jti: 'same' }))).status).toBe(200);
});

const forgeries: [string, Record<string, unknown>, Record<string, unknown>?][] = [
  ['no events', { events: undefined }],
  ['another event', { events: { 'http://schemas.openid.net/event/other': {} } }],
  ['an event that is no object', { events: { [event]: true } }],
  ['events as a list', { events: [event] }],
  ['a nonce', { nonce: 'n' }],
  ['no time of issue', { iat: undefined }],
  ['an old time of issue', { iat: secondsFromNow(-600) }],
  ['a time of issue in the future', { iat: secondsFromNow(600) }],
  ['an expiry in the past', { exp: secondsFromNow(-60) }],
  ['no jti', { jti: undefined }],
  ['an empty jti', { jti: '' }],
  ['neither sid nor sub', { sid: undefined }],
  ['the audience of access tokens', { aud: 'chat' }],
  ['no audience', { aud: undefined }],
  ['another issuer', { iss: 'https://rival.example' }],
  ['an unknown issuer', { iss: 'https://elsewhere.example' }],
  ['an unknown key', {}, { kid: 'nowhere' }],
];

test.each(forgeries)('a logout token with %s is refused, and ends nothing', async (what, claims, header) => {
  const sid = `forged ${what}`;
  const token = await issuer.issue({ sub: 'target', sid });
  expect(await viewerOf(server, token)).toHaveProperty('user');
  const forged = await issueLogout({ sid, ...claims }, header === undefined ? {} : { header });
  expect(await logOut(forged)).toMatchObject({ status: 400, body: expect.stringContaining('invalid_request') });
  expect(await viewerOf(server, token)).toHaveProperty('user');
});

test('a logout token that others sign, or that is unsigned, is refused', async () => {
  const [, payload] = (await issueLogout({ sid: 'x' })).split('.');
  const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'logout+jwt' })).toString('base64url');
  const stolen = await issueLogout({ sid: 'x' }, { key: await createKey() });
  for (const token of [`${none}.${payload}.`, stolen, await issuer.issue({ sub: 'x', sid: 'x' }), 'x', '', null]) {
    expect((await logOut(token)).status).toBe(400);
  }
});

test('a token without an expiry is accepted, as the first version of the specification had none', async () => {
  expect((await logOut(await issueLogout({ sid: 'old', exp: undefined }))).status).toBe(200);
});

test('only a POST of a form is accepted', async () => {
  const url = `${server.url}/auth/logout`;
  expect((await fetch(url)).status).toBe(405);
  expect(
    (await fetch(url, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } })).status,
  ).toBe(415);
  const large = new URLSearchParams({ logout_token: 'x'.repeat(20_000) });
  expect((await fetch(url, { method: 'POST', body: large })).status).toBe(413);
});

test('a network that sends many bad tokens is refused for a while', async () => {
  await using limited = await startServer({
    database: server.database,
    env: { ...issuersEnv(issuer), RATE_LIMITS: 'on', RATE_LIMIT_FAILED_LOGOUTS: '2/15m' },
  });
  const statuses: number[] = [];
  for (let count = 0; count < 3; count += 1) statuses.push((await logOut('x.y.z', limited)).status);
  expect(statuses).toEqual([400, 400, 429]);
});

test('a refused logout token leaves a line in the log, which says why', async () => {
  expect((await logOut(await issuer.issueLogout({ aud: 'another', sid: 'phone' }))).status).toBe(400);
  expect((await logOut('no token')).status).toBe(400);
  const lines = complaintsOf(server).filter(({ msg }) => String(msg).startsWith('a logout token was refused'));
  expect(lines.length).toBeGreaterThan(0);
  expect(lines[0]).toMatchObject({ level: 'warn', reason: expect.any(String) });
  expect(JSON.stringify(lines)).not.toContain('phone');
});
