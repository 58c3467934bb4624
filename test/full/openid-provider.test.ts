import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair } from 'jose';
import { Provider, type Configuration } from 'oidc-provider';
import { beforeAll, expect, test, vi } from 'vitest';
import { createGroup, say } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { atFileEnd } from '../support/file-end.ts';
import { exchange, viewerOf } from '../support/issuer.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { eventOf, followEvents } from '../support/stream.ts';

const resource = 'https://chat.example';
const client = { id: 'shop-web', secret: 'a secret of the shop' };
const callback = 'https://shop.example/callback';

let provider: string;
let server: TestServer;
let other: TestServer;

beforeAll(async () => {
  let answer: RequestListener = (_, response) => response.writeHead(503).end();
  const http = createServer((request, response) => answer(request, response)).listen(0, '127.0.0.1');
  await once(http, 'listening');
  provider = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  atFileEnd(() => {
    http.closeAllConnections();
    http.close();
  });
  const issuer = { issuer: provider, audience: 'chat', jwks: `${provider}/jwks`, logoutAudience: client.id };
  const env = { AUTH_ISSUERS: JSON.stringify([issuer]), EGRESS_ALLOW: '127.0.0.1' };
  server = await startServer({ env });
  other = await startServer({ env, database: server.database });
  const handle = new Provider(provider, await configure(`${server.url}/auth/logout`)).callback();
  answer = (request, response) => void handle(request, response);
});

async function configure(logoutUri: string): Promise<Configuration> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const claimsOf = (name: string) => ({
    ...{ preferred_username: name, name: `${name} of the shop` },
    ...{ email: `${name}@shop.example`, email_verified: true },
  });
  return {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'k1', alg: 'RS256', use: 'sig' }] },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    clients: [
      {
        ...{ client_id: client.id, client_secret: client.secret, redirect_uris: [callback] },
        grant_types: ['authorization_code', 'refresh_token'],
        ...{ backchannel_logout_uri: logoutUri, backchannel_logout_session_required: true },
      },
    ],
    // This omits the provider's own dispatcher, which refuses addresses of this machine.
    fetch: (url, options) =>
      fetch(url, Object.fromEntries(Object.entries(options ?? {}).filter(([name]) => name !== 'dispatcher'))),
    findAccount: (_, name) => ({ accountId: name, claims: () => ({ sub: name, ...claimsOf(name) }) }),
    issueRefreshToken: () => true,
    // Keycloak also puts the session and the profile into its access tokens.
    extraTokenClaims: ({ oidc }, token) => ({
      sid: oidc.entities.AuthorizationCode?.sid ?? oidc.entities.RefreshToken?.sid,
      ...('accountId' in token ? claimsOf(token.accountId) : {}),
    }),
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({ clientId: client.id, accountId: String(oidc.session?.accountId) });
      grant.addOIDCScope('openid');
      grant.addResourceScope(resource, 'chat');
      await grant.save();
      return grant;
    },
    features: {
      backchannelLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ scope: 'chat', audience: 'chat', accessTokenFormat: 'jwt' }),
      },
    },
  };
}

/** A browser that keeps cookies and follows redirects until it reaches the shop's own pages. */
class Browser {
  readonly #cookies = new Map<string, string>();

  async open(url: string, form?: Record<string, string>): Promise<{ url: URL; page: string }> {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form !== undefined && { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      this.#cookies.set(name, value);
    }
    const location = response.headers.get('location');
    const page = await response.text();
    if (location === null) return { url: new URL(url), page };
    const next = new URL(location, url);
    return next.href.startsWith(provider) ? this.open(next.href) : { url: next, page };
  }
}

type Tokens = { access_token: string; refresh_token: string; id_token: string };

async function requestTokens(grant: Record<string, string>): Promise<Tokens> {
  const response = await fetch(`${provider}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${client.id}:${encodeURIComponent(client.secret)}`)}` },
    body: new URLSearchParams(grant),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(JSON.stringify(answer));
  return answer as Tokens;
}

/** Signs in at the provider with an authorization code. */
async function signInAtProvider(browser: Browser, name: string): Promise<Tokens> {
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    ...{ client_id: client.id, response_type: 'code', redirect_uri: callback, scope: 'openid chat', resource },
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const login = await browser.open(`${provider}/auth?${query}`);
  const { url } = await browser.open(login.url.href, { prompt: 'login', login: name, password: 'any' });
  const code = String(url.searchParams.get('code'));
  return requestTokens({ grant_type: 'authorization_code', code, redirect_uri: callback, code_verifier: verifier });
}

async function signOutAtProvider(browser: Browser, { id_token: hint }: Tokens): Promise<void> {
  const { page } = await browser.open(`${provider}/session/end?id_token_hint=${hint}`);
  const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(page) ?? [];
  await browser.open(`${provider}/session/end/confirm`, { xsrf, logout: 'yes' });
}

test('a user of an OpenID provider signs in, refreshes, chats, and is signed out everywhere when they sign out there', async () => {
  const browser = new Browser();
  const tokens = await signInAtProvider(browser, 'ada');
  expect(decodeProtectedHeader(tokens.access_token)).toMatchObject({ typ: 'at+jwt', alg: 'RS256' });
  const viewer = await viewerOf(server, tokens.access_token);
  expect(viewer).toMatchObject({
    ...{ email: 'ada@shop.example', hasPassword: false },
    user: { username: 'ada', displayName: 'ada of the shop' },
  });

  // The next token extends the same session, here on another node.
  const next = await requestTokens({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token });
  expect(next.access_token).not.toBe(tokens.access_token);
  expect((await viewerOf(other, next.access_token)).sessions).toEqual(viewer.sessions);

  // Another device of the same user has its own session.
  const phone = new Browser();
  const onPhone = await signInAtProvider(phone, 'ada');
  expect((await viewerOf(server, onPhone.access_token)).sessions).toHaveLength(2);
  const exchanged = await exchange(server, next.access_token);
  expect(exchanged).toMatchObject({ viewer: { user: { username: 'ada' } } });

  const friend = await signUp(server, 'friend');
  const chat = await createGroup(friend, [{ userId: viewer.user.id }]);
  await using stream = await followEvents(other, { token: next.access_token });
  await using staying = await followEvents(other, { token: onPhone.access_token });
  await say(friend, chat, 'before');
  await signOutAtProvider(browser, next);
  await say(friend, chat, 'after');
  const received = (await stream.ended()).map((frame) => eventOf(frame)?.message?.content).filter(Boolean);
  expect(received).toEqual(['before']);
  await staying.next((frame) => eventOf(frame)?.message?.content === 'after');
  for (const token of [tokens.access_token, next.access_token, exchanged.accessToken]) {
    await vi.waitFor(async () => expect(await viewerOf(other, token)).toBe('UNAUTHENTICATED'), 2_000);
    expect(await viewerOf(server, token)).toBe('UNAUTHENTICATED');
  }
  expect(await viewerOf(server, onPhone.access_token)).toMatchObject({ user: { id: viewer.user.id } });

  // Signing in again on the first device begins a new session for the same user.
  const again = await signInAtProvider(browser, 'ada');
  expect(await viewerOf(server, again.access_token)).toMatchObject({ user: { id: viewer.user.id } });
});

test('an ID token, which is meant for the shop, is not accepted in place of an access token', async () => {
  const tokens = await signInAtProvider(new Browser(), 'grace');
  expect(decodeJwt(tokens.id_token).aud).toBe(client.id);
  expect(await viewerOf(server, tokens.id_token)).toBe('UNAUTHENTICATED');
  expect(await viewerOf(server, tokens.access_token)).toMatchObject({ user: { username: 'grace' } });
});
