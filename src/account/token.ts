import { errors, SignJWT } from 'jose';
import { LRUCache } from 'lru-cache';
import { Unauthenticated } from '../errors.ts';
import { jwtIssuer, verifyJwt } from './jwt.ts';
import type { AccessTokenKeys } from './token-key.ts';
import type { Asker } from '../core/asker.ts';

const accessTokenLifetimeMs = 15 * 60_000;

/** Stands in every access token: a token for something else is not valid here. */
const audience = 'parley';
/** Of PostgreSQL's bigint. */
const maxId = 2n ** 63n - 1n;
const maxVerifiedTokens = 10_000;

/** Issues and verifies access tokens: JWTs (RFC 7519), signed with EdDSA, that say who and on which device. */
export class AccessTokens {
  readonly #keys: AccessTokenKeys;
  /** A signature costs 0.2 ms to verify, so it is verified once. Whether its session still lives is asked each time. */
  readonly #verified = new LRUCache<string, Asker>({ max: maxVerifiedTokens });

  constructor(keys: AccessTokenKeys) {
    this.#keys = keys;
  }

  /** A token good for 15 minutes from now, and whom it stands for. */
  async issue(userId: bigint, sessionId: bigint): Promise<{ accessToken: string; asker: Asker }> {
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
   * Whom the token stands for. Throws Unauthenticated when it has expired, was not signed with one of our keys, or was
   * made for somebody else. That its session still lives is not said.
   */
  async verify(token: string): Promise<Asker> {
    const asker = this.#verified.get(token) ?? (await this.#verifySignature(token));
    if (asker.expiresAt.getTime() <= Date.now()) {
      this.#verified.delete(token);
      throw expired();
    }
    this.#verified.set(token, asker);
    return asker;
  }

  async #verifySignature(token: string): Promise<Asker> {
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
