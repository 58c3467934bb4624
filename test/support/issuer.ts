import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { atFileEnd } from './file-end.ts';
import type { Data, TestClient } from './client.ts';

/** A token issuer's key pair. */
export type IssuerKey = { kid: string; alg: string; privateKey: CryptoKey; publicJwk: JWK };

/** What a test changes in a token before it is signed. A claim or a header that is undefined is left out. */
export type TokenChange = { header?: Record<string, unknown>; key?: IssuerKey | Uint8Array };

/** Creates a key pair for signing tokens. */
export async function createKey(alg = 'ES256', kid: string = randomUUID()): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** Returns a time in the form that tokens use: seconds since 1970. */
export const secondsFromNow = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;

/** Signs a token with these claims. It is valid for ten minutes, unless the claims say otherwise. */
export function sign(
  claims: Record<string, unknown>,
  key: IssuerKey | Uint8Array,
  header: Record<string, unknown> = {},
) {
  const payload = JSON.parse(JSON.stringify({ iat: secondsFromNow(0), exp: secondsFromNow(600), ...claims }));
  const own = key instanceof Uint8Array ? { alg: 'HS256' } : { alg: key.alg, kid: key.kid };
  return new SignJWT(payload)
    .setProtectedHeader(JSON.parse(JSON.stringify({ ...own, ...header })))
    .sign(key instanceof Uint8Array ? key : key.privateKey);
}

/**
 * Another system that issues tokens, with its own keys at a URL on this machine. `keys` and `answer` may be changed at
 * any time. `fetched` counts the requests for the keys.
 */
export class TestIssuer {
  readonly name: string;
  readonly audience: string;
  keys: IssuerKey[];
  /** Answers the requests for the keys in place of the default answer. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | null = null;
  fetched = 0;
  readonly #url: string;

  private constructor(options: { name: string; audience: string; keys: IssuerKey[]; url: string }) {
    this.name = options.name;
    this.audience = options.audience;
    this.keys = options.keys;
    this.#url = options.url;
  }

  static async start(name = 'https://id.example', audience = 'chat'): Promise<TestIssuer> {
    const server = createServer((request, response) => {
      issuer.fetched += 1;
      if (issuer.answer !== null) issuer.answer(request, response);
      else response.end(JSON.stringify({ keys: issuer.keys.map(({ publicJwk }) => publicJwk) }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const issuer = new TestIssuer({ name, audience, keys: [await createKey()], url: `http://127.0.0.1:${port}/jwks` });
    atFileEnd(() => {
      server.closeAllConnections();
      server.close();
    });
    return issuer;
  }

  /** The issuer's entry in AUTH_ISSUERS. */
  get settings(): Record<string, unknown> {
    return { issuer: this.name, audience: this.audience, jwks: this.#url };
  }

  /** Issues a token with these claims. */
  issue(claims: Record<string, unknown>, { header = {}, key = this.keys[0] }: TokenChange = {}): Promise<string> {
    if (key === undefined) throw new Error('the issuer has no key');
    return sign({ iss: this.name, aud: this.audience, ...claims }, key, header);
  }

  /** Issues a logout token. */
  issueLogout(claims: Record<string, unknown>, change: TokenChange = {}): Promise<string> {
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
    return this.issue(
      { jti: randomUUID(), events, ...claims },
      { ...change, header: { typ: 'logout+jwt', ...change.header } },
    );
  }
}

/** Returns the settings of a server that accepts tokens from these issuers. */
export function issuersEnv(...issuers: (TestIssuer | Record<string, unknown>)[]): Record<string, string> {
  const settings = issuers.map((each) => (each instanceof TestIssuer ? each.settings : each));
  return { AUTH_ISSUERS: JSON.stringify(settings), EGRESS_ALLOW: '127.0.0.1' };
}

/** Returns the viewer that the server returns for a token, or the code of its error. */
export async function viewerOf(server: TestClient, token: string): Promise<Data> {
  const { data, errors } = await server.post(
    '{ viewer { email hasPassword user { id username displayName } sessions { id isCurrent } } }',
    {},
    { token },
  );
  return errors === undefined ? data.viewer : errors[0]?.extensions?.['code'];
}

/** Returns the answer to signInWithToken. */
export async function exchange(server: TestClient, token: string): Promise<Data> {
  const document = `mutation ($token: String!) { signInWithToken(token: $token) {
    __typename
    ... on Error { message }
    ... on SignedIn { accessToken refreshToken viewer { user { id username } } }
  } }`;
  return (await server.ask(document, { token })).signInWithToken;
}
