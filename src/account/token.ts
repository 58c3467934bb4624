import { createLru } from '../core/lru.ts';
import { errors, SignJWT } from 'jose';
import { Unauthenticated } from '../errors.ts';
import { jwtIssuer, verifyJwt } from './jwt.ts';
import type { AccessTokenKeys } from './token-key.ts';
import type { SessionAsker } from '../core/asker.ts';

const accessTokenLifetimeMs = 15 * 60_000;

/** The audience of every access token. A token for another purpose is not valid as an access token. */
const audience = 'parley';
/** PostgreSQL's largest bigint. */
const maxId = 2n ** 63n - 1n;
const maxVerifiedTokens = 10_000;

/** Issues and verifies access tokens: JWTs (RFC 7519), signed with EdDSA, that name the user and the session. */
export class AccessTokens {
  readonly #keys: AccessTokenKeys;
  /**
   * Verifying a signature takes 0.2 ms, so each token is verified only once. The session is checked on every request.
   */
  readonly #verified = createLru<string, SessionAsker>(maxVerifiedTokens);

  constructor(keys: AccessTokenKeys) {
    this.#keys = keys;
  }

  /** Issues a token that is valid for 15 minutes, and returns it with its asker. */
  async issue(userId: bigint, sessionId: bigint): Promise<{ accessToken: string; asker: SessionAsker }> {
    const issuedAt = Math.floor(Date.now() / 1000);
    const expiresAt = issuedAt + accessTokenLifetimeMs / 1000;
    const accessToken = await new SignJWT({ sid: String(sessionId) })
      .setProtectedHeader({ alg: 'EdDSA', kid: this.#keys.signing.kid, typ: 'JWT' })
      .setIssuer(jwtIssuer)
      .setAudience(audience)
      .setSubject(String(userId))
      .setIssuedAt(issuedAt)
      .setExpirationTime(expiresAt)
      .sign(this.#keys.signing.key);
    return { accessToken, asker: { kind: 'SESSION', userId, sessionId, expiresAt: new Date(expiresAt * 1000) } };
  }

  /**
   * Returns the asker of the token. Throws Unauthenticated if the token has expired, was not signed with one of our
   * keys, or is for another audience. Does not check that the asker's session is live.
   */
  async verify(token: string): Promise<SessionAsker> {
    const asker = this.#verified.get(token) ?? (await this.#verifySignature(token));
    if (asker.expiresAt.getTime() <= Date.now()) {
      this.#verified.delete(token);
      throw expired();
    }
    this.#verified.set(token, asker);
    return asker;
  }

  async #verifySignature(token: string): Promise<SessionAsker> {
    try {
      const payload = await verifyJwt(this.#keys, token, { audience, requiredClaims: ['exp', 'sub', 'sid'] });
      return {
        kind: 'SESSION',
        userId: readId(payload.sub),
        sessionId: readId(payload['sid']),
        expiresAt: new Date(Number(payload.exp) * 1000),
      };
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw expired();
      if (error instanceof errors.JOSEError) throw bad();
      throw error;
    }
  }
}

function readId(claim: unknown): bigint {
  if (typeof claim !== 'string' || !/^[1-9][0-9]{0,18}$/.test(claim) || BigInt(claim) > maxId) throw bad();
  return BigInt(claim);
}

function expired(): Unauthenticated {
  return new Unauthenticated('The access token has expired: call refreshSession.');
}

function bad(): Unauthenticated {
  return new Unauthenticated('The access token is not valid.');
}
